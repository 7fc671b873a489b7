/**
 * Removes words that no text has any more from the full-text indexes of SQLite.
 *
 * **Details**
 *
 * - FTS5 spreads its words over pages, and lists each page by the start of its first word. With `secure-delete` it
 *   removes a word from its page, but not from this list.
 * - If the list has a start that no word has any more, the whole index is merged into a new one, a few pages in each
 *   step.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { v1Index, v1IndexSql } from "./V1Index.ts"

/** The indexes, each with one of its columns. */
const indexes: Readonly<Record<string, string>> = { search_words: "words", [v1Index]: "content_raw" }

const entriesAtOnce = 100
const pagesAtOnce = 16

interface Entry {
  readonly segid: number
  readonly term: Uint8Array
  readonly is_forgotten: number
}

/** Runs `rest` between two steps, so that posts can run. Has no effect on PostgreSQL. */
export const removeForgottenWords = (rest: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient

    const hasForgotten = Effect.fnUntraced(function* (index: string) {
      const vocabulary = `temp.${index}_vocabulary`
      /** An entry is one byte, the number of its index, and then the start of a word. */
      const next = (last: Entry | undefined) =>
        Effect.andThen(
          sql.unsafe(`CREATE VIRTUAL TABLE IF NOT EXISTS ${vocabulary} USING fts5vocab(main, ${index}, row)`),
          sql<Entry>`
            SELECT segid, term, length(term) > 1 AND NOT COALESCE((
              SELECT substr(hex(known.term), 1, length(hex(start))) = hex(start) FROM ${sql.literal(vocabulary)} known
              WHERE known.term >= start LIMIT 1), 0) AS is_forgotten
            FROM (
              SELECT segid, term, CAST(substr(term, 2) AS TEXT) AS start FROM ${sql.literal(`${index}_idx`)}
              WHERE (segid, term) > (${last?.segid ?? 0}, ${last?.term ?? new Uint8Array()})
              ORDER BY segid, term LIMIT ${entriesAtOnce})`
        ).pipe(sql.withTransaction)
      let last: Entry | undefined
      while (true) {
        const entries: ReadonlyArray<Entry> = yield* next(last)
        if (entries.some(({ is_forgotten }) => is_forgotten === 1)) return true
        if (entries.length < entriesAtOnce) return false
        last = entries.at(-1)
        yield* rest
      }
    })

    const merge = Effect.fnUntraced(function* (index: string, column: string) {
      const command = (columns: string, values: string) =>
        sql.unsafe(`INSERT INTO ${index} (${index}, ${columns}) VALUES (${values})`)
      const word = "'zzzzzzzzzzzz'"
      // A merge needs two parts. The second one is a row of its own, which is gone when this commits.
      yield* Effect.all([
        sql.unsafe(`INSERT INTO ${index} (rowid, ${column}) VALUES (0, ${word})`),
        sql.unsafe(`INSERT INTO ${index} (${index}) VALUES ('flush')`),
        command("rank", `'merge', -${pagesAtOnce}`),
        command(`rowid, ${column}`, `'delete', 0, ${word}`)
      ]).pipe(sql.withTransaction)
      const changes = Effect.map(sql<{ n: number }>`SELECT total_changes() AS n`, ([row]) => row?.n ?? 0)
      // FTS5 says by the number of changes whether there is more to merge.
      const step = Effect.gen(function* () {
        const before = yield* changes
        yield* command("rank", `'merge', ${pagesAtOnce}`)
        return (yield* changes) - before >= 2
      }).pipe(sql.withTransaction)
      while (yield* step) yield* rest
    })

    const clean = Effect.gen(function* () {
      const found = yield* sql<{ name: string }>`
        SELECT name FROM sqlite_schema WHERE type = 'table' AND ${sql.in("name", Object.keys(indexes))}
        AND (name <> ${v1Index} OR sql = ${v1IndexSql})`
      for (const { name } of found) {
        if (yield* hasForgotten(name)) yield* merge(name, indexes[name] ?? "")
      }
    })
    yield* sql.onDialectOrElse({ pg: () => Effect.void, orElse: () => clean })
  })
