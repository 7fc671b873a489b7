/** What a hub's database holds, in numbers. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

export interface Summary {
  readonly db_id: string
  readonly channels: number
  readonly topics: number
  readonly messages: number
  /** The number of the newest event; 0 if there is none. */
  readonly newest_event: number
}

export const summaryOf = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const [found] = yield* sql<{ readonly [Name in keyof Summary]: unknown }>`
    SELECT (SELECT value FROM meta WHERE key = 'db_id') AS db_id,
      (SELECT count(*) FROM channels) AS channels,
      (SELECT count(*) FROM topics) AS topics,
      (SELECT count(*) FROM messages) AS messages,
      (SELECT COALESCE(max(event_id), 0) FROM events) AS newest_event`
  const summary: Summary = {
    db_id: String(found?.db_id),
    channels: Number(found?.channels),
    topics: Number(found?.topics),
    messages: Number(found?.messages),
    newest_event: Number(found?.newest_event)
  }
  return summary
})
