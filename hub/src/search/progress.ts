/** How far the index is. One row of the database says it, so every hub and every reader of the file knows. */
import type { SearchIndex } from "@agentlip/protocol"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import { firstNumber } from "../database/SearchTables.ts"

export interface Progress {
  /** Rows with these ids and lower ones are indexed, down to the oldest. */
  readonly newest_message: string
  readonly newest_attachment: string
  /** Rows with lower ids are not indexed yet. */
  readonly oldest_message: string
  readonly oldest_attachment: string
  /** The numbers of the next newer and the next older document. */
  readonly next_number: number
  readonly previous_number: number
  readonly done: number
  readonly total: number
  readonly is_complete: number
}

/** Sorts after this id and before every higher one. */
const above = (id: string): string => (id === "" ? "" : `${id}~`)

/** Begins the index at the newest rows, unless it was begun already. Call it in a transaction. */
export const begin = Effect.fnUntraced(function* (sql: SqlClient.SqlClient) {
  const [known] = yield* sql<Progress>`SELECT * FROM search_progress`
  if (known !== undefined) return known
  const [counted] = yield* sql<{ message: string; attachment: string; total: number }>`
    SELECT (SELECT COALESCE(max(id), '') FROM messages) AS message,
      (SELECT COALESCE(max(id), '') FROM attachments) AS attachment,
      (SELECT count(*) FROM messages) + (SELECT count(*) FROM attachments) AS total`
  const { message = "", attachment = "", total = 0 } = counted ?? {}
  const begun: Progress = {
    newest_message: message,
    newest_attachment: attachment,
    oldest_message: above(message),
    oldest_attachment: above(attachment),
    next_number: firstNumber,
    previous_number: firstNumber - 1,
    done: 0,
    total,
    is_complete: total === 0 ? 1 : 0
  }
  yield* sql`INSERT INTO search_progress ${sql.insert({ ...begun })}`
  return begun
})

/** Rows that are not indexed yet, but will be within a moment: new ones, and those whose text has changed. */
export const hasNew = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql<{ found: number }>`
      SELECT CASE WHEN
        EXISTS (SELECT 1 FROM search_documents WHERE words IS NULL)
        OR EXISTS (SELECT 1 FROM messages WHERE id > (SELECT newest_message FROM search_progress))
        OR EXISTS (SELECT 1 FROM attachments WHERE id > (SELECT newest_attachment FROM search_progress))
      THEN 1 ELSE 0 END AS found`,
    ([row]) => row?.found === 1
  )

/** How far the index is, for people. An index that no hub has begun has nothing. */
export const indexOf = Effect.fnUntraced(function* (sql: SqlClient.SqlClient) {
  const [progress] = yield* sql<Progress>`SELECT * FROM search_progress`
  const { done = 0, total = 0, is_complete = 0 } = progress ?? {}
  const index: SearchIndex = {
    complete: is_complete === 1 && !(yield* hasNew(sql)),
    done: Math.min(done, total),
    total
  }
  return index
})
