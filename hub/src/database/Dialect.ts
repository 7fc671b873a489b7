/** SQL fragments for the differences between SQLite and PostgreSQL, so that each statement is written once. */
import type { SqlClient, Statement } from "effect/sql"

/**
 * The first `count` rows of several queries together, without duplicates. Each query has one column and an index in
 * the given order, and reads no more of it than needed.
 */
export const merged = (
  sql: SqlClient.SqlClient,
  queries: ReadonlyArray<Statement.Fragment>,
  order: string,
  count: number
): Statement.Fragment => {
  const end = sql`${sql.literal(order)} LIMIT ${count}`
  // SQLite merges while it reads. PostgreSQL would read each query to its end before it removes duplicates.
  const parts = sql.onDialectOrElse({
    pg: () => (queries.length > 1 ? queries.map((query) => sql`(${query} ${end})`) : queries),
    orElse: () => queries
  })
  const all = parts.reduce((before, part) => sql`${before} UNION ${part}`)
  return sql`${all} ${end}`
}

/** The columns of given rows, with the types that PostgreSQL needs to know. */
export type Columns = { readonly [name: string]: "text" | "integer" | "bigint" }

/** A row with these columns. A missing value becomes NULL. */
export type Row<Names> = { readonly [Name in Names & string]?: string | number | null }

/** Builds a table from rows. */
export type Given<Names extends string> = (rows: ReadonlyArray<Row<Names>>) => Statement.Fragment

/**
 * Builds a table from rows. All rows are one parameter, so the text of the statement is always the same. The table is
 * called `given` and has, besides its columns, `position`, which rises in the order of the rows.
 *
 * @example
 * ```ts
 * const givenJobs = Dialect.given(sql, { message_id: "text", content_version: "integer" })
 * sql`SELECT message_id FROM ${givenJobs(jobs)}`
 * ```
 */
export const given = <const C extends Columns>(
  sql: SqlClient.SqlClient,
  columns: C
): Given<keyof C & string> => {
  const all = Object.entries(columns)
  const names: ReadonlyArray<keyof C & string> = Object.keys(columns)
  const [before, after] = sql.onDialectOrElse({
    pg: () => {
      const values = all.map(([name, type], index) => `(value ->> ${index})::${type} AS ${name}`)
      return [
        `(SELECT ${values.join(", ")}, position FROM json_array_elements(`,
        `::json) WITH ORDINALITY AS one (value, position)) AS given`
      ] as const
    },
    orElse: () => {
      const values = all.map(([name], index) => `value ->> ${index} AS ${name}`)
      return [`(SELECT ${values.join(", ")}, key AS position FROM json_each(`, `)) AS given`] as const
    }
  })
  const open = sql.literal(before)
  const close = sql.literal(after)
  return (rows) => sql`${open}${JSON.stringify(rows.map((row) => names.map((name) => row[name])))}${close}`
}

/** The texts in a column that holds a JSON array, as a table with the column `value`. */
export const elements = (sql: SqlClient.SqlClient, column: string): Statement.Fragment =>
  sql.literal(
    sql.onDialectOrElse({
      pg: () => `json_array_elements_text(${column}::json) AS element (value)`,
      orElse: () => `json_each(${column}) AS element`
    })
  )

/** SQL that is true if the attachments `a` and `given` are the same one: the same fact in the same topic. */
export const sameAttachment = (sql: SqlClient.SqlClient): string =>
  sql.onDialectOrElse({
    pg: () => `a.topic_id = given.topic_id AND attachment_identity(a.kind, a.key, a.dedupe_key)
        = attachment_identity(given.kind, given.key, given.dedupe_key)`,
    orElse: () => `a.topic_id = given.topic_id AND a.kind = given.kind
        AND COALESCE(a.key, '') = COALESCE(given.key, '') AND a.dedupe_key = given.dedupe_key`
  })
