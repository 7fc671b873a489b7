/** One connection to a SQLite file, over `node:sqlite`: runs statements, and keeps them prepared. */
import { Cause, Context, Effect, Stream } from "effect"
import { SqlClient, type SqlConnection, SqlError } from "effect/sql"
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"

type Rows = ReadonlyArray<Record<string, unknown>>
type TransformRows = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

const maxPrepared = 200

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

export const attempt = <A>(operation: string, run: () => A): Effect.Effect<A, SqlError.SqlError> =>
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

export type RunEach = (
  statement: string,
  rows: ReadonlyArray<ReadonlyArray<unknown>>
) => Effect.Effect<ReadonlyArray<Ran>, SqlError.SqlError>

export interface SqliteConnection extends SqlConnection.Connection {
  readonly isTransaction: () => boolean
  readonly runEach: RunEach
}

/** Calls `committed` after each transaction. A statement outside of a transaction does not count. */
export const makeConnection = (db: DatabaseSync, committed: () => void): SqliteConnection => {
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
