/**
 * Removes the text of deleted messages from the events before the deletion.
 *
 * **Details**
 *
 * - An erasure looks through the events of the message's channel, a few in each step. Its position is in the database,
 *   so it continues after a restart.
 * - Events keep their numbers and their form. The text becomes `[deleted]`; findings become empty. Only attachments that
 *   still exist, because of a client or of another message, stay as they are.
 * - Cached outputs of plugins name no message, so all that were used since the message was posted are removed. They can
 *   be computed again.
 * - When the text is gone, the event `message.erased` says so. On SQLite, deleted bytes are overwritten (`secure_delete`),
 *   and the log is written back and emptied.
 */
import type { Erasure, Message } from "@agentlip/protocol"
import { type NotFound, notFound } from "@agentlip/protocol"
import { Context, Effect, Layer, Option } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { EventLog } from "../core/EventLog.ts"
import { WakeUp } from "../core/WakeUp.ts"
import { emptyLog } from "../database/emptyLog.ts"
import { removeForgottenWords } from "../database/ForgottenWords.ts"
import { Outage } from "../database/Outage.ts"
import { countUnused, removeUsed } from "../jobs/ResultCacheStore.ts"
import { timestamp } from "../timestamp.ts"
import { erasedData } from "./erasedData.ts"

/** Events that one step looks at. */
const eventsAtOnce = 500

/** The pause after each step, in which posts have the database for themselves. */
const rest = Effect.sleep("5 millis")
const restAfterFailure = "1 second"

interface Row {
  readonly message_id: string
  readonly channel_id: string
  readonly erased_by: string
  readonly at_event: number
  readonly last_event: number
  readonly events: number
  readonly requested_at: string
  readonly ended_at: string | null
}

const toErasure = ({ message_id, events, requested_at, ended_at }: Row): Erasure => ({
  message_id,
  state: ended_at === null ? "running" : "done",
  events,
  requested_at,
  ended_at
})

export class Erasures extends Context.Service<
  Erasures,
  {
    /** Begins to erase a deleted message, again if it was erased before. Call it inside the transaction that deletes it. */
    readonly request: (message: Message, erasedBy: string) => Effect.Effect<Erasure, SqlError.SqlError>
    /** The last erasure of a message. */
    readonly get: (messageId: string) => Effect.Effect<Erasure, NotFound | SqlError.SqlError>
  }
>()("@agentlip/hub/Erasures") {
  /** Works on open erasures until its scope closes. */
  static readonly layer: Layer.Layer<Erasures, never, SqlClient.SqlClient | EventLog> = Layer.effect(
    Erasures,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const log = yield* EventLog
      const work = new WakeUp()

      const find = Effect.fnUntraced(function* (messageId: string) {
        const [row] = yield* sql<Row>`SELECT * FROM erasures WHERE message_id = ${messageId}`
        return Option.fromUndefinedOr(row)
      })

      const request = Effect.fnUntraced(function* ({ id, channel_id }: Message, erased_by: string) {
        const row: Row = {
          message_id: id,
          channel_id,
          erased_by,
          at_event: 0,
          last_event: yield* log.newest,
          events: 0,
          requested_at: yield* timestamp,
          ended_at: null
        }
        yield* sql`DELETE FROM erasures WHERE message_id = ${id}`
        yield* sql`INSERT INTO erasures ${sql.insert({ ...row })}`
        yield* sql.afterCommit(Effect.sync(work.ring))
        return toErasure(row)
      })

      const get = (messageId: string) =>
        Effect.flatMap(
          find(messageId),
          Option.match({
            onNone: () => notFound("erasure of a message", messageId),
            onSome: (row) => Effect.succeed(toErasure(row))
          })
        )

      /** The events among the next ones that may hold the text, and the number up to which it looked. */
      const next = Effect.fnUntraced(function* ({ message_id, channel_id, at_event, last_event }: Row) {
        const inRange = (last: number) =>
          sql`channel_id = ${channel_id} AND event_id > ${at_event} AND event_id <= ${last}`
        const [looked] = yield* sql<{ n: number | null }>`
          SELECT max(event_id) AS n FROM (
            SELECT event_id FROM events WHERE ${inRange(last_event)} ORDER BY event_id LIMIT ${eventsAtOnce}
          ) AS looked_at`
        const until = looked?.n ?? last_event
        const events = yield* sql<{ event_id: number; name: string; data_json: string }>`
          SELECT event_id, name, data_json FROM events
          WHERE ${inRange(until)} AND (
            (entity_type = 'message' AND entity_id = ${message_id})
            OR (name = 'topic.attachment_added' AND data_json LIKE ${`%${message_id}%`} AND NOT EXISTS
              (SELECT 1 FROM attachments WHERE attachments.id = events.entity_id)))`
        return { until, events }
      })

      const isOfMessage = (name: string, data_json: string, messageId: string): boolean =>
        name !== "topic.attachment_added" || JSON.parse(data_json).attachment?.source_message_id === messageId

      /** Returns true if there is more to do. */
      const step = (messageId: string) =>
        Effect.gen(function* () {
          const row = Option.getOrUndefined(yield* find(messageId))
          if (row === undefined || row.ended_at !== null || row.at_event >= row.last_event) return false
          const { until, events } = yield* next(row)
          let changed = 0
          for (const { event_id, name, data_json } of events) {
            if (!isOfMessage(name, data_json, messageId)) continue
            const erased = erasedData(name, data_json)
            if (erased === undefined) continue
            yield* sql`UPDATE events SET data_json = ${erased} WHERE event_id = ${event_id}`
            changed++
          }
          yield* sql`
            UPDATE erasures SET at_event = ${until}, events = events + ${changed} WHERE message_id = ${messageId}`
          return until < row.last_event
        }).pipe(sql.withTransaction)

      const forgetOutputs = Effect.fnUntraced(function* (messageId: string) {
        const [row] = yield* sql<{
          created_at: string
        }>`SELECT created_at FROM messages WHERE id = ${messageId}`
        const since = Date.parse(row?.created_at ?? "")
        if (Number.isNaN(since)) return
        // Also creates the table if no plugin has used it.
        yield* countUnused(sql, 0)
        while ((yield* removeUsed(sql, since)) > 0) yield* rest
      })

      const finish = (messageId: string) =>
        Effect.gen(function* () {
          const now = yield* timestamp
          const [row] = yield* sql<Row & { readonly topic_id: string }>`
            SELECT e.*, m.topic_id FROM erasures e JOIN messages m ON m.id = e.message_id
            WHERE message_id = ${messageId} AND ended_at IS NULL`
          if (row === undefined) return
          yield* sql`UPDATE erasures SET ended_at = ${now} WHERE message_id = ${messageId}`
          const { channel_id, topic_id, erased_by, events } = row
          yield* log.append(
            {
              name: "message.erased",
              scope: { channel_id, topic_id },
              entity: { type: "message", id: messageId },
              data: { message_id: messageId, erased_by, events }
            },
            now
          )
        }).pipe(sql.withTransaction)

      const workOnAll = Effect.gen(function* () {
        const open = yield* sql<{ message_id: string }>`
          SELECT message_id FROM erasures WHERE ended_at IS NULL`
        for (const { message_id } of open) {
          while (yield* step(message_id)) yield* rest
          yield* forgetOutputs(message_id)
          yield* removeForgottenWords(rest).pipe(Effect.provideService(SqlClient.SqlClient, sql))
          yield* emptyLog(sql)
          yield* finish(message_id)
        }
      })

      const outage = new Outage({ begun: "erasures are interrupted", ended: "erasures go on" })
      // A hub that was stopped may have left some.
      work.ring()
      yield* work.next.pipe(
        Effect.andThen(workOnAll),
        Effect.andThen(outage.over),
        Effect.catchCause((cause) =>
          outage
            .log(cause)
            .pipe(Effect.andThen(Effect.sleep(restAfterFailure)), Effect.andThen(Effect.sync(work.ring)))
        ),
        Effect.forever,
        Effect.forkScoped
      )

      return Erasures.of({ request, get })
    })
  )
}
