/**
 * Effect's `SqlClient` over Node's own `node:sqlite`: one connection per layer, and prepared statements are reused.
 *
 * **Details**: SQLite's own wait for another process's lock would block the event loop, so it is switched off. An
 * operation that finds the database locked is retried from the start, and others can use the connection meanwhile.
 *
 * **Gotchas**: integers beyond 2^53 arrive as `bigint`. Provide `SqlClient.SafeIntegers` to get every integer as one.
 */
import { Cause, Context, Effect, Layer, Option, Semaphore, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"
import * as Checkpoints from "./Checkpoints.ts"
import { openReadOnly } from "./ReadOnlyFile.ts"

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

type Rows = ReadonlyArray<Record<string, unknown>>
type TransformRows = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

const maxPrepared = 200

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
const streamChunk = 64

const sqlError = (cause: unknown, operation: string): SqlError.SqlError => {
  // Effect's classifier reads `errno`, but node:sqlite sets `errcode`.
  if (cause instanceof Error && "errcode" in cause && !("errno" in cause)) {
    Object.assign(cause, { errno: cause.errcode })
  }
  return new SqlError.SqlError({
    reason: SqlError.classifySqliteError(cause, { message: `Failed to ${operation}`, operation })
  })
}

const attempt = <A>(operation: string, run: () => A): Effect.Effect<A, SqlError.SqlError> =>
  Effect.try({ try: run, catch: (cause) => sqlError(cause, operation) })

const toInput = (value: unknown, index: number): SQLInputValue => {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return value
    case "boolean":
      return value ? 1 : 0
    case "undefined":
      return null
  }
  if (value === null) return null
  if (value instanceof Uint8Array || value instanceof Int8Array) return value
  if (value instanceof Date) return value.toISOString()
  throw new TypeError(`Parameter ${index + 1} is a ${typeof value}, which SQLite cannot store`)
}

const narrow = (value: unknown): unknown =>
  typeof value === "bigint" && BigInt.asIntN(54, value) === value ? Number(value) : value

/** Changes the row in place, which is safe because SQLite returns fresh objects. */
const narrowRow = <Row extends Record<string, unknown>>(row: Row): Row => {
  for (const column in row) {
    if (typeof row[column] === "bigint") Object.assign(row, { [column]: narrow(row[column]) })
  }
  return row
}

const wantsBigInts = Effect.withFiber((fiber) =>
  Effect.succeed(Context.get(fiber.context, SqlClient.SafeIntegers))
)

/** What a statement that returns no rows did. */
export interface Ran {
  /** Rows that it changed. */
  readonly changes: number
  /** The number of the row that it inserted, if it did. */
  readonly rowid: number
}

type RunEach = (
  statement: string,
  rows: ReadonlyArray<ReadonlyArray<unknown>>
) => Effect.Effect<ReadonlyArray<Ran>, SqlError.SqlError>

/** What this client can do beyond `SqlClient`. See EachRow.ts. */
export interface SqliteClient extends SqlClient.SqlClient {
  /**
   * Runs a statement that returns no rows once for each list of parameters, in the open transaction or in a new one. If
   * one fails, the transaction must fail too.
   */
  readonly runEach: RunEach
}

interface SqliteConnection extends SqlConnection.Connection {
  readonly isTransaction: () => boolean
  readonly runEach: RunEach
}

const makeConnection = (db: DatabaseSync, committed: () => void): SqliteConnection => {
  const prepared = new Map<string, StatementSync>()

  const prepareFresh = (sql: string): StatementSync => {
    const statement = db.prepare(sql)
    statement.setReadBigInts(true)
    return statement
  }

  const prepareCached = (sql: string): StatementSync => {
    const statement = prepared.get(sql) ?? prepareFresh(sql)
    // Keep the order of use, so that statements used once drive out each other and not the common ones.
    prepared.delete(sql)
    prepared.set(sql, statement)
    if (prepared.size > maxPrepared) {
      for (const oldest of prepared.keys()) {
        prepared.delete(oldest)
        break
      }
    }
    return statement
  }

  const rowsOf =
    (prepare: (sql: string) => StatementSync) =>
    (
      sql: string,
      params: ReadonlyArray<unknown>,
      transform: TransformRows
    ): Effect.Effect<Rows, SqlError.SqlError> =>
      Effect.flatMap(wantsBigInts, (bigInts) =>
        attempt("execute statement", () => {
          const statement = prepare(sql)
          statement.setReturnArrays(false)
          const rows: Rows = statement.all(...params.map(toInput))
          if (sql === "COMMIT") committed()
          if (!bigInts) rows.forEach(narrowRow)
          return transform === undefined ? rows : transform(rows)
        })
      )

  const valuesOf =
    (prepare: (sql: string) => StatementSync) =>
    (
      sql: string,
      params: ReadonlyArray<unknown>
    ): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError.SqlError> =>
      Effect.flatMap(wantsBigInts, (bigInts) =>
        attempt("execute statement", () => {
          const statement = prepare(sql)
          statement.setReturnArrays(true)
          const rows: ReadonlyArray<unknown> = statement.all(...params.map(toInput))
          return rows.map((row) => {
            const values: ReadonlyArray<unknown> = Array.isArray(row) ? row : []
            return bigInts ? values : values.map(narrow)
          })
        })
      )

  const execute = rowsOf(prepareCached)

  return {
    isTransaction: () => db.isTransaction,
    runEach: (sql, rows) =>
      attempt("execute statement", () => {
        const statement = prepareCached(sql)
        return rows.map((params): Ran => {
          const { changes, lastInsertRowid } = statement.run(...params.map(toInput))
          return { changes: Number(changes), rowid: Number(lastInsertRowid) }
        })
      }),
    execute,
    executeUnprepared: rowsOf(prepareFresh),
    executeValues: valuesOf(prepareCached),
    executeValuesUnprepared: valuesOf(prepareFresh),
    executeRaw: (sql, params) =>
      Effect.flatMap(
        attempt("prepare statement", () => prepareCached(sql)),
        (statement): Effect.Effect<unknown, SqlError.SqlError> =>
          statement.columns().length > 0
            ? execute(sql, params, undefined)
            : attempt("execute statement", () => {
                const { changes, lastInsertRowid } = statement.run(...params.map(toInput))
                return { changes: narrow(changes), lastInsertRowid: narrow(lastInsertRowid) }
              })
      ),
    executeStream: (sql, params, transform) =>
      Stream.fromPull(
        Effect.gen(function* () {
          const bigInts = yield* wantsBigInts
          // Do not use the cached statement: running the same text meanwhile would reset it.
          const iterator = yield* Effect.acquireRelease(
            attempt("execute statement", () => prepareFresh(sql).iterate(...params.map(toInput))),
            (open) => Effect.sync(() => open.return?.())
          )
          return Effect.flatMap(
            attempt("read rows", () => {
              const rows: Array<Record<string, unknown>> = []
              while (rows.length < streamChunk) {
                const next = iterator.next()
                if (next.done === true) break
                rows.push(bigInts ? next.value : narrowRow(next.value))
              }
              return transform === undefined ? rows : transform(rows)
            }),
            ([first, ...rest]) =>
              first === undefined ? Cause.done() : Effect.succeed([first, ...rest] as const)
          )
        })
      ).pipe(Stream.scoped)
  }
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
