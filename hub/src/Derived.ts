/**
 * The rows that came from plugins. What a plugin derives from a message replaces what it had derived before.
 *
 * **Details**: an attachment belongs to its topic and is kept as long as anyone stands behind it: a client
 * that posted it, or a message it is derived from (`attachment_sources`). Two messages with the same link
 * share one attachment; it goes when both are gone.
 */
import type { Attachment as PluginAttachment, Enrichment as PluginEnrichment } from "@agentlip/plugin-runtime"
import { Array as Arr, Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { EventLog } from "./EventLog.ts"
import { Ids, timestamp } from "./Ids.ts"
import type { Attachment, Enrichment, JsonObject } from "./Model.ts"

/** Where a message is at the time of a commit. */
export interface Place {
  readonly message_id: string
  readonly topic_id: string
  readonly channel_id: string
}

interface EnrichmentRow {
  readonly id: string
  readonly message_id: string
  readonly plugin_name: string
  readonly kind: string
  readonly span_start: number
  readonly span_end: number
  readonly data_json: string
  readonly created_at: string
}

/** What makes an attachment the same as another: its place, its identity there, and its fact. */
interface Fact {
  readonly topic_id: string
  readonly kind: string
  readonly key: string | null
  readonly dedupe_key: string
  readonly value_json: string
}

const factKey = ({ topic_id, kind, key, dedupe_key, value_json }: Fact): string =>
  JSON.stringify([topic_id, kind, key, dedupe_key, value_json])

/** SQLite takes 32,766 parameters in a statement; an enrichment needs 8. */
const rowsPerInsert = 1_000

type Write = Effect.Effect<void, SqlError.SqlError>

export class Derived extends Context.Service<
  Derived,
  {
    /** Rows and event of a linkifier's run; none found removes what was there. */
    readonly enrich: (place: Place, plugin: string, found: ReadonlyArray<PluginEnrichment>) => Write
    /** Rows and events of an extractor's run; none found removes what was there. */
    readonly attach: (place: Place, plugin: string, found: ReadonlyArray<PluginAttachment>) => Write
    /** Removes a message's enrichments: their spans count in a text that is gone. */
    readonly removeEnrichments: (messageId: string, plugin?: string) => Write
    /** Takes a message away from behind the attachments derived from it. */
    readonly removeAttachments: (messageId: string, plugin?: string) => Write
    readonly enrichments: (messageId: string) => Effect.Effect<ReadonlyArray<Enrichment>, SqlError.SqlError>
  }
>()("@agentlip/hub/Derived") {
  static readonly layer: Layer.Layer<Derived, never, SqlClient.SqlClient | EventLog | Ids> = Layer.effect(
    Derived,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const events = yield* EventLog
      const ids = yield* Ids

      const from = (messageId: string, plugin: string | undefined) =>
        plugin === undefined
          ? sql`message_id = ${messageId}`
          : sql`message_id = ${messageId} AND plugin_name = ${plugin}`

      const removeEnrichments = (messageId: string, plugin?: string) =>
        Effect.asVoid(sql`DELETE FROM enrichments WHERE ${from(messageId, plugin)}`)

      const enrich = Effect.fnUntraced(function* (
        { message_id, topic_id, channel_id }: Place,
        plugin_name: string,
        found: ReadonlyArray<PluginEnrichment>
      ) {
        yield* removeEnrichments(message_id, plugin_name)
        if (found.length === 0) return
        const created_at = yield* timestamp
        const rows = yield* Effect.forEach(found, ({ kind, span, data }) =>
          Effect.map(ids.next, (id) => ({
            id,
            message_id,
            plugin_name,
            kind,
            span_start: span.start,
            span_end: span.end,
            data_json: JSON.stringify(data),
            created_at
          }))
        )
        for (const some of Arr.chunksOf(rows, rowsPerInsert)) {
          yield* sql`INSERT INTO enrichments ${sql.insert(some)}`
        }
        const enrichments = found.map(({ kind, span, data }, at) => ({ id: rows[at]?.id, kind, span, data }))
        yield* events.append({
          name: "message.enriched",
          scope: { channel_id, topic_id },
          entity: { type: "message", id: message_id },
          data: { message_id, plugin_name, enrichments, enrichment_ids: rows.map(({ id }) => id) }
        })
      })

      /** Removes sources, then the attachments that nobody stands behind any more. */
      const withdraw = Effect.fnUntraced(function* (messageId: string, attachmentIds: ReadonlyArray<string>) {
        if (attachmentIds.length === 0) return
        const among = sql.in("id", attachmentIds)
        yield* sql`
          DELETE FROM attachments WHERE ${among} AND posted = 0
          AND NOT EXISTS (SELECT 1 FROM attachment_sources WHERE attachment_id = attachments.id)`
        // What another message still stands behind is that message's from now on.
        yield* sql`
          UPDATE attachments SET source_message_id =
            (SELECT min(message_id) FROM attachment_sources WHERE attachment_id = attachments.id)
          WHERE ${among} AND posted = 0 AND source_message_id = ${messageId} AND NOT EXISTS
            (SELECT 1 FROM attachment_sources WHERE attachment_id = attachments.id AND message_id = ${messageId})`
      })

      const removeAttachments = Effect.fnUntraced(function* (messageId: string, plugin?: string) {
        const removed = yield* sql<{ attachment_id: string }>`
          DELETE FROM attachment_sources WHERE ${from(messageId, plugin)} RETURNING attachment_id`
        yield* withdraw(
          messageId,
          removed.map(({ attachment_id }) => attachment_id)
        )
      })

      const insertAttachment = Effect.fnUntraced(function* (place: Place, plugin_name: string, fact: Fact) {
        const { message_id, channel_id } = place
        const { topic_id, kind, key, dedupe_key, value_json } = fact
        const id = yield* ids.next
        const created_at = yield* timestamp
        const added = yield* sql`
          INSERT INTO attachments
            (id, topic_id, kind, key, value_json, dedupe_key, source_message_id, posted, created_at)
          VALUES (${id}, ${topic_id}, ${kind}, ${key}, ${value_json}, ${dedupe_key}, ${message_id}, 0, ${created_at})
          ON CONFLICT DO NOTHING RETURNING 1 AS added`
        yield* sql`
          INSERT INTO attachment_sources (attachment_id, message_id, plugin_name)
          SELECT id, ${message_id}, ${plugin_name} FROM attachments
          WHERE topic_id = ${topic_id} AND kind = ${kind} AND COALESCE(key, '') = ${key ?? ""}
            AND (key IS NULL) = ${key === null} AND dedupe_key = ${dedupe_key}
          ON CONFLICT DO NOTHING`
        if (added.length === 0) return
        const value: JsonObject = JSON.parse(value_json)
        const attachment: Attachment = {
          id,
          topic_id,
          kind,
          key,
          value_json: value,
          dedupe_key,
          source_message_id: message_id,
          created_at
        }
        yield* events.append({
          name: "topic.attachment_added",
          scope: { channel_id, topic_id },
          entity: { type: "attachment", id },
          data: { attachment }
        })
      })

      const attach = Effect.fnUntraced(function* (
        place: Place,
        plugin: string,
        found: ReadonlyArray<PluginAttachment>
      ) {
        const wanted = new Map<string, Fact>()
        for (const { kind, key, value_json, dedupe_key } of found) {
          const value = JSON.stringify(value_json)
          const fact = {
            topic_id: place.topic_id,
            kind,
            key: key ?? null,
            dedupe_key: dedupe_key ?? value,
            value_json: value
          }
          wanted.set(factKey(fact), fact)
        }
        const before = yield* sql<Fact & { readonly id: string }>`
          SELECT a.id, a.topic_id, a.kind, a.key, a.dedupe_key, a.value_json
          FROM attachment_sources s JOIN attachments a ON a.id = s.attachment_id
          WHERE s.message_id = ${place.message_id} AND s.plugin_name = ${plugin}`
        const gone: Array<string> = []
        for (const row of before) {
          // What is found again stays as it is: no new row, no new event.
          if (!wanted.delete(factKey(row))) gone.push(row.id)
        }
        if (gone.length > 0) {
          yield* sql`
            DELETE FROM attachment_sources
            WHERE ${from(place.message_id, plugin)} AND ${sql.in("attachment_id", gone)}`
          yield* withdraw(place.message_id, gone)
        }
        for (const fact of wanted.values()) yield* insertAttachment(place, plugin, fact)
      })

      const enrichments = Effect.fnUntraced(function* (messageId: string) {
        const rows = yield* sql<EnrichmentRow>`
          SELECT * FROM enrichments WHERE message_id = ${messageId} ORDER BY span_start, span_end, id`
        return rows.map(
          ({ span_start, span_end, data_json, ...row }): Enrichment => ({
            ...row,
            span: { start: span_start, end: span_end },
            data: JSON.parse(data_json)
          })
        )
      })

      return Derived.of({ enrich, attach, removeEnrichments, removeAttachments, enrichments })
    })
  )
}
