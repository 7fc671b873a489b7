/**
 * Writes many rows at once.
 *
 * **Details**: SQLite runs a prepared statement for each row, which takes a third of the time of one statement that
 * reads the rows from JSON. PostgreSQL gets all rows in one statement, because each statement is a round trip.
 */
import { Effect } from "effect"
import type { SqlClient, SqlError, Statement } from "effect/sql"
import * as Dialect from "./Dialect.ts"
import type { SqliteClient } from "./Sqlite.ts"
import type { Ran } from "./SqliteConnection.ts"

const isSqlite = (sql: SqlClient.SqlClient): sql is SqliteClient => "runEach" in sql

interface Ways<Row, A> {
  readonly sqlite: {
    /** Has a parameter for each column, in their order. */
    readonly statement: string
    /** `ran` has an item for each row, in their order. */
    readonly result: (ran: ReadonlyArray<Ran>, rows: ReadonlyArray<Row>) => A
  }
  readonly other: (rows: ReadonlyArray<Row>) => Effect.Effect<A, SqlError.SqlError>
}

/** On SQLite, runs the statement `sqlite` for each row; on other databases, runs `other` for all rows. */
export const run = <const C extends Dialect.Columns, Row extends Dialect.Row<keyof C>, A>(
  sql: SqlClient.SqlClient,
  columns: C,
  { sqlite, other }: Ways<Row, A>
): ((rows: ReadonlyArray<Row>) => Effect.Effect<A, SqlError.SqlError>) => {
  if (!isSqlite(sql)) return other
  const names: ReadonlyArray<keyof C & string> = Object.keys(columns)
  return (rows) =>
    Effect.map(
      sql.runEach(
        sqlite.statement,
        rows.map((row) => names.map((name) => row[name]))
      ),
      (ran) => sqlite.result(ran, rows)
    )
}

/**
 * Inserts rows in their order. Call it inside a transaction.
 *
 * **Details**: if the database numbers the rows of the table, the result has their numbers in order. `returning` is the
 * end of PostgreSQL's statement; the first column that it returns is the number.
 *
 * @example
 * ```ts
 * const addChannels = EachRow.insert(sql, "channels", { id: "text", name: "text" })
 * yield* addChannels([{ id: "1", name: "general" }])
 * ```
 */
export const insert = <const C extends Dialect.Columns>(
  sql: SqlClient.SqlClient,
  table: string,
  columns: C,
  returning: Statement.Fragment = sql.literal("")
): ((
  rows: ReadonlyArray<Dialect.Row<keyof C>>
) => Effect.Effect<ReadonlyArray<number>, SqlError.SqlError>) => {
  const names = Object.keys(columns)
  const given = Dialect.given<C>(sql, columns)
  const list = sql.literal(names.join(", "))
  return run<C, Dialect.Row<keyof C>, ReadonlyArray<number>>(sql, columns, {
    sqlite: {
      statement: `INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
      result: (ran) => ran.map(({ rowid }) => rowid)
    },
    other: (rows) =>
      Effect.map(
        sql<{ readonly [column: string]: unknown }>`
          INSERT INTO ${sql.literal(table)} (${list}) SELECT ${list} FROM ${given(rows)} ORDER BY position${returning}`,
        (inserted) => inserted.map((row) => Number(Object.values(row)[0])).sort((one, other) => one - other)
      )
  })
}
