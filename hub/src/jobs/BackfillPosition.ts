/** Where a backfill is in the messages, or in the events that tell of them, and what it meets next. */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"

export interface BackfillPosition {
  readonly last_event: number
  readonly at_event: number
  /** The last message that it has met. `null`: it walks through events. */
  readonly at_message: string | null
}

/** Events or messages read in one transaction. */
const readAtOnce = 128

const contentEvents: ReadonlySet<string> = new Set(["message.created", "message.edited"])

/** Returns a function that reads the ids of the next messages, and the position after them. */
export const makeNextMet = (sql: SqlClient.SqlClient) => {
  const nextMessages = Effect.fnUntraced(function* (at: number, last: number, after: string) {
    const rows = yield* sql<{ id: string }>`
        SELECT id FROM messages WHERE id > ${after} ORDER BY id LIMIT ${Math.min(readAtOnce, last - at)}`
    const at_message = rows.at(-1)?.id ?? after
    return { met: rows, at_event: rows.length === 0 ? last : at + rows.length, at_message }
  })

  const nextEvents = Effect.fnUntraced(function* (at: number, last: number) {
    const events = yield* sql<{ event_id: number; name: string; entity_id: string }>`
        SELECT event_id, name, entity_id FROM events
        WHERE event_id > ${at} AND event_id <= ${last} ORDER BY event_id LIMIT ${readAtOnce}`
    const met = new Set(
      events.filter(({ name }) => contentEvents.has(name)).map(({ entity_id }) => entity_id)
    )
    const at_event = events.length < readAtOnce ? last : (events.at(-1)?.event_id ?? last)
    return { met: [...met].map((id) => ({ id })), at_event, at_message: null }
  })

  return ({ at_event, last_event, at_message }: BackfillPosition) =>
    at_message === null ? nextEvents(at_event, last_event) : nextMessages(at_event, last_event, at_message)
}
