/**
 * Effect's `SqlClient` over Node's own `node:sqlite`: one connection per layer, and prepared statements are reused.
 *
 * **Details**: SQLite's own wait for another process's lock would block the event loop, so it is switched off. An
 * operation that finds the database locked is retried from the start, and others can use the connection meanwhile.
 *
 * **Gotchas**: integers beyond 2^53 arrive as `bigint`. Provide `SqlClient.SafeIntegers` to get every integer as one.
 */
import { Effect, Layer, Option, Semaphore } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, SqlError, Statement } from "effect/sql"
import { DatabaseSync } from "node:sqlite"
import * as Checkpoints from "./Checkpoints.ts"
import { openReadOnly } from "./ReadOnlyFile.ts"
import { attempt, makeConnection, type RunEach } from "./SqliteConnection.ts"

export interface SqliteOptions {
  /** Path of the database file, or `":memory:"`. */
  readonly filename: string
  /**
   * How long a transaction, or a statement outside of one, waits for another process's lock, roughly, in milliseconds.
   * Default 5,000.
   */
  readonly busyTimeoutMs?: number
  /** Write nothing, neither to the file nor beside it, and change no lock: see ReadOnlyFile.ts. Default `false`. */
  readonly readOnly?: boolean
}

const pragmas = [
  "journal_mode = WAL",
  "synchronous = NORMAL",
  "foreign_keys = ON",
  // Overwrite what is deleted. It costs next to nothing: most of it is in pages that are written anyway.
  "secure_delete = ON",
  // A thread makes the checkpoints: see Checkpoints.ts. From 16,000 pages (64 MiB) on, the writer helps.
  "wal_autocheckpoint = 16000",
  // A negative value is in KiB: 16 MiB.
  "cache_size = -16384"
]

/** What this client can do beyond `SqlClient`. See EachRow.ts. */
export interface SqliteClient extends SqlClient.SqlClient {
  /**
   * Runs a statement that returns no rows once for each list of parameters, in the open transaction or in a new one. If
   * one fails, the transaction must fail too.
   */
  readonly runEach: RunEach
}

const pauseMillis = 10

const isLocked = (error: unknown): boolean =>
  error instanceof SqlError.SqlError && error.reason._tag === "LockTimeoutError"

/** Retries while another process holds the lock and `mayRunAgain`. Holds nothing between two attempts. */
const whenUnlocked = <A, E, R>(
  run: Effect.Effect<A, E, R>,
  millis: number,
  mayRunAgain: () => boolean = () => true
): Effect.Effect<A, E, R> =>
  Effect.catchIf(
    run,
    (error) => millis > 0 && isLocked(error) && mayRunAgain(),
    () => Effect.andThen(Effect.sleep(pauseMillis), whenUnlocked(run, millis - pauseMillis, mayRunAgain))
  )

/** Retries only the start of a transaction. Once its body has started, it never runs again. */
const beginWhenUnlocked =
  (withTransaction: SqlClient.SqlClient["withTransaction"], patience: number) =>
  <A, E, R>(body: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError.SqlError, R> =>
    Effect.suspend(() => {
      let begun = false
      const marked = Effect.suspend(() => {
        begun = true
        return body
      })
      return whenUnlocked(withTransaction(marked), patience, () => !begun)
    })

const open = ({ filename, readOnly = false }: SqliteOptions): DatabaseSync => {
  if (readOnly) return openReadOnly(filename)
  const db = new DatabaseSync(filename, { timeout: 0 })
  try {
    for (const pragma of pragmas) db.exec(`PRAGMA ${pragma}`)
    return db
  } catch (cause) {
    db.close()
    throw cause
  }
}

/** Creates a client that lives as long as its scope. See `layer`. */
export const make = Effect.fnUntraced(function* (options: SqliteOptions) {
  const patience = options.busyTimeoutMs ?? 5_000
  const db = yield* Effect.acquireRelease(
    whenUnlocked(
      attempt("open database", () => open(options)),
      patience
    ),
    (db) => Effect.sync(() => db.close())
  )
  const hasLog = options.filename !== ":memory:" && options.readOnly !== true
  const connection = makeConnection(db, hasLog ? yield* Checkpoints.make(options.filename) : () => {})
  const acquirers = SqlClient.makeSqliteAcquirers({
    connection: Effect.succeed(connection),
    semaphore: yield* Semaphore.make(1),
    isTransaction: (connection) => connection.isTransaction()
  })
  const client = yield* SqlClient.make({
    ...acquirers,
    borrower: (use) => whenUnlocked(acquirers.borrower(use), patience),
    compiler: Statement.makeCompilerSqlite(),
    driver: "sqlite-node",
    spanAttributes: [["db.system.name", "sqlite"]],
    prepareTransactionControls: true,
    // Take the write lock first, so that a transaction that reads and then writes never fails to upgrade its lock.
    beginTransaction: "BEGIN IMMEDIATE",
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`
  })
  const withTransaction = beginWhenUnlocked(client.withTransaction, patience)
  const runEach: RunEach = (statement, rows) =>
    Effect.flatMap(Effect.serviceOption(client.transactionService), (open) =>
      Option.isSome(open)
        ? connection.runEach(statement, rows)
        : withTransaction(connection.runEach(statement, rows))
    )
  return Object.assign(client, { withTransaction, runEach }) satisfies SqliteClient
})

/**
 * Provides `SqlClient` on a SQLite file (WAL, foreign keys on), closed with the layer's scope.
 *
 * **Errors**: the layer fails with a `SqlError` (`ConnectionError`) if the file cannot be opened. If the lock stays
 * taken for too long, the error is a `LockTimeoutError`, whose `isRetryable` is true.
 *
 * @example
 * ```ts
 * const program = Effect.gen(function* () {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql`SELECT 1 AS one`
 * }).pipe(Effect.provide(Sqlite.layer({ filename: ".agentlip/db.sqlite3" })))
 * ```
 */
export const layer = (options: SqliteOptions): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.effect(SqlClient.SqlClient, make(options)).pipe(Layer.provide(Reactivity.layer))
