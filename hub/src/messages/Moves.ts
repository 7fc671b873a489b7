/** Moves messages to another topic of their channel: one, it and those after it, or all of its topic. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { CrossChannelMove, type Message, type MoveMode } from "@agentlip/protocol"
import { EventLog } from "../core/EventLog.ts"
import * as Dialect from "../database/Dialect.ts"
import { timestamp } from "../timestamp.ts"
import { Topics } from "./Topics.ts"

export interface Moved {
  readonly affected_count: number
  /** One for each message. */
  readonly event_ids: ReadonlyArray<number>
}

/** Messages moved by one statement. */
const movedAtOnce = 500

/** Returns the function that moves. Call that inside the transaction in which the message was read. */
export const makeMove = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const events = yield* EventLog
  const topics = yield* Topics
  const givenIds = Dialect.given(sql, { id: "text" })

  return Effect.fnUntraced(function* (message: Message, toTopicId: string, mode: MoveMode) {
    const { id, topic_id, channel_id } = message
    const target = yield* topics.get(toTopicId)
    if (target.channel_id !== channel_id) {
      return yield* new CrossChannelMove({ error: "A message can be moved within its channel only" })
    }
    const nothing: Moved = { affected_count: 0, event_ids: [] }
    if (target.id === topic_id) return nothing
    const which = {
      one: sql`id = ${id}`,
      later: sql`topic_id = ${topic_id} AND id >= ${id}`,
      all: sql`topic_id = ${topic_id}`
    }[mode]
    const now = yield* timestamp
    yield* topics.touch([topic_id, target.id], now)
    const event_ids: Array<number> = []
    let last = ""
    while (true) {
      const some = yield* sql<{ id: string; version: number }>`
        SELECT id, version FROM messages WHERE ${which} AND id > ${last} ORDER BY id LIMIT ${movedAtOnce}`
      yield* sql`
        UPDATE messages SET topic_id = ${target.id}, version = version + 1
        WHERE id IN (SELECT id FROM ${givenIds(some)})`
      const numbers = yield* events.appendAll(
        some.map((row) => ({
          name: "message.moved_topic",
          scope: { channel_id, topic_id, topic_id2: target.id },
          entity: { type: "message", id: row.id },
          data: {
            message_id: row.id,
            old_topic_id: topic_id,
            new_topic_id: target.id,
            channel_id,
            mode,
            version: row.version + 1
          }
        })),
        now
      )
      event_ids.push(...numbers)
      last = some.at(-1)?.id ?? last
      if (some.length < movedAtOnce) {
        const moved: Moved = { affected_count: event_ids.length, event_ids }
        return moved
      }
      // Let requests that need no database run between two batches.
      yield* Effect.yieldNow
    }
  })
})
