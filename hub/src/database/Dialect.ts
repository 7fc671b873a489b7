/** Where SQL of SQLite and of PostgreSQL differ: one statement for both is made of these. */
import type { SqlClient, Statement } from "effect/sql"

/**
 * The first of what several queries on one column have together, each once. Each query goes through an index in that
 * order, and none reads more of it than is wanted.
 */
export const merged = (
  sql: SqlClient.SqlClient,
  queries: ReadonlyArray<Statement.Fragment>,
  order: string,
  count: number
): Statement.Fragment => {
  const end = sql`${sql.literal(order)} LIMIT ${count}`
  // SQLite merges as it goes; PostgreSQL reads each query to its end before it looks for what comes twice.
  const parts = sql.onDialectOrElse({
    pg: () => (queries.length > 1 ? queries.map((query) => sql`(${query} ${end})`) : queries),
    orElse: () => queries
  })
  const all = parts.reduce((before, part) => sql`${before} UNION ${part}`)
  return sql`${all} ${end}`
}

type Columns = { readonly [name: string]: "text" | "integer" }

/** What is given, row by row; what a row lacks is NULL. */
export type Given<Names extends string> = (
  rows: ReadonlyArray<{ readonly [Name in Names]?: string | number | null }>
) => Statement.Fragment

/**
 * A table of what is given: one parameter however much it is, so that a statement's text is always the same. Its name
 * is `given`; beside its columns it has `position`, which rises in the order of the rows.
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

/** The texts in a column that holds a JSON array of them, as a table with the column `value`. */
export const elements = (sql: SqlClient.SqlClient, column: string): Statement.Fragment =>
  sql.literal(
    sql.onDialectOrElse({
      pg: () => `json_array_elements_text(${column}::json) AS element (value)`,
      orElse: () => `json_each(${column}) AS element`
    })
  )

/** Whether the attachments `a` and `given` are one: the same fact in the same topic. */
export const sameAttachment = (sql: SqlClient.SqlClient): Statement.Fragment =>
  sql.literal(
    sql.onDialectOrElse({
      pg: () => `a.topic_id = given.topic_id AND attachment_identity(a.kind, a.key, a.dedupe_key)
        = attachment_identity(given.kind, given.key, given.dedupe_key)`,
      orElse: () => `a.topic_id = given.topic_id AND a.kind = given.kind
        AND COALESCE(a.key, '') = COALESCE(given.key, '') AND (a.key IS NULL) = (given.key IS NULL)
        AND a.dedupe_key = given.dedupe_key`
    })
  )
