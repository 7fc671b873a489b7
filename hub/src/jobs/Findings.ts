/**
 * Stores findings. The findings of a run replace what the plugin found in that message before.
 *
 * **Details**: an attachment belongs to its topic. It stays while it has a source: a client that posted it, or a
 * message it was found in (`attachment_sources`). Two messages with the same link share one attachment; it is removed
 * with the last of them.
 */
import type { Attachment as PluginAttachment, Enrichment as PluginEnrichment } from "@agentlip/plugin-runtime"
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import { EventLog, type NewEvent } from "../core/EventLog.ts"
import { Ids } from "../core/Ids.ts"
import { type Offset, Pages } from "../database/Pages.ts"
import { timestamp } from "../timestamp.ts"
import type { Attachment, Enrichment, EventData } from "@agentlip/protocol"
import { type EnrichmentRow, toEnrichment } from "./EnrichmentRow.ts"
import { makeFindingsList } from "./FindingsList.ts"

/** The place of a message at the time of a commit. */
export interface Place {
  readonly message_id: string
  readonly topic_id: string
  readonly channel_id: string
}

/** An enrichment encoded before the transaction opens, to keep the transaction short. */
export interface EnrichmentDraft extends PluginEnrichment {
  readonly data_json: string
}

/** An attachment encoded before the transaction opens. */
export interface AttachmentDraft {
  readonly kind: string
  readonly key: string | null
  readonly dedupe_key: string
  readonly value: PluginAttachment["value_json"]
  readonly value_json: string
}

/** All findings of one run. */
export interface RunFindings<Draft> {
  readonly place: Place
  readonly plugin: string
  readonly found: ReadonlyArray<Draft>
}

/** SQLite cannot store a lone surrogate, and PostgreSQL cannot store U+0000. */
const storable = (text: string): string => text.toWellFormed().replaceAll("\0", "\ufffd")

export const draftEnrichment = ({ kind, span, data }: PluginEnrichment): EnrichmentDraft => ({
  kind: storable(kind),
  span,
  data,
  data_json: JSON.stringify(data)
})

export const draftAttachment = ({
  kind,
  key,
  dedupe_key,
  value_json: value
}: PluginAttachment): AttachmentDraft => {
  const value_json = JSON.stringify(value)
  return {
    kind: storable(kind),
    key: key === undefined ? null : storable(key),
    dedupe_key: dedupe_key === undefined ? value_json : storable(dedupe_key),
    value,
    value_json
  }
}

/** The identity of an attachment: two attachments with the same fact are the same one. */
interface Fact {
  readonly topic_id: string
  readonly kind: string
  readonly key: string | null
  readonly dedupe_key: string
  readonly value_json: string
}

type Draft = Fact & AttachmentDraft

const factKey = ({ topic_id, kind, key, dedupe_key, value_json }: Fact): string =>
  JSON.stringify([topic_id, kind, key, dedupe_key, value_json])

const runKey = (message_id: string, plugin_name: string): string => JSON.stringify([message_id, plugin_name])

/** The message and plugin of each run. */
const runs = (findings: ReadonlyArray<RunFindings<unknown>>) =>
  findings.map(({ place, plugin }) => ({ message_id: place.message_id, plugin_name: plugin }))

type Write = Effect.Effect<void, SqlError.SqlError>

export class Findings extends Context.Service<
  Findings,
  {
    /** Replaces the enrichments of linkifier runs and writes their events. A run without findings only removes. */
    readonly enrich: (findings: ReadonlyArray<RunFindings<EnrichmentDraft>>) => Write
    /** Replaces the attachments of extractor runs and writes their events. A run without findings only removes. */
    readonly attach: (findings: ReadonlyArray<RunFindings<AttachmentDraft>>) => Write
    /** Removes a message's enrichments, because their spans point into a text that is gone. */
    readonly removeEnrichments: (messageId: string, plugin?: string) => Write
    /** Removes a message as the source of attachments, and the attachments that have no other source. */
    readonly removeAttachments: (messageId: string, plugin?: string) => Write
    /** The findings of several messages: see FindingsList.ts. */
    readonly list: ReturnType<typeof makeFindingsList>
    /** Sorted by position in the text. */
    readonly enrichments: (
      messageId: string,
      page: Offset
    ) => Effect.Effect<
      { readonly enrichments: ReadonlyArray<Enrichment>; readonly has_more: boolean },
      SqlError.SqlError
    >
  }
>()("@agentlip/hub/Findings") {
  static readonly layer: Layer.Layer<Findings, never, SqlClient.SqlClient | EventLog | Ids> = Layer.effect(
    Findings,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const events = yield* EventLog
      const ids = yield* Ids
      const pages = yield* Pages

      const run = { message_id: "text", plugin_name: "text" } as const
      const givenRuns = Dialect.given(sql, run)
      const givenEnrichments = Dialect.given(sql, {
        ...run,
        id: "text",
        kind: "text",
        span_start: "integer",
        span_end: "integer",
        data_json: "text"
      })
      const givenAttachments = Dialect.given(sql, {
        ...run,
        id: "text",
        topic_id: "text",
        kind: "text",
        key: "text",
        dedupe_key: "text",
        value_json: "text"
      })
      const sameAttachment = Dialect.sameAttachment(sql)

      const from = (messageId: string, plugin: string | undefined) =>
        plugin === undefined
          ? sql`message_id = ${messageId}`
          : sql`message_id = ${messageId} AND plugin_name = ${plugin}`

      const removeEnrichments = (messageId: string, plugin?: string) =>
        Effect.asVoid(sql`DELETE FROM enrichments WHERE ${from(messageId, plugin)}`)

      const enrich = Effect.fnUntraced(function* (findings: ReadonlyArray<RunFindings<EnrichmentDraft>>) {
        if (findings.length === 0) return
        yield* sql`
          DELETE FROM enrichments WHERE (message_id, plugin_name) IN
            (SELECT message_id, plugin_name FROM ${givenRuns(runs(findings))})`
        const created_at = yield* timestamp
        const nextId = yield* ids.reserve(findings.reduce((sum, { found }) => sum + found.length, 0))
        const rows: Array<Omit<EnrichmentRow, "created_at">> = []
        const enriched: Array<NewEvent> = []
        for (const { place, plugin: plugin_name, found } of findings) {
          if (found.length === 0) continue
          const { message_id, topic_id, channel_id } = place
          const enrichments: Array<EventData<"message.enriched">["enrichments"][number]> = []
          const enrichment_ids: Array<string> = []
          for (const { kind, span, data, data_json } of found) {
            const id = nextId()
            const { start: span_start, end: span_end } = span
            rows.push({ id, message_id, plugin_name, kind, span_start, span_end, data_json })
            enrichments.push({ id, kind, span, data })
            enrichment_ids.push(id)
          }
          enriched.push({
            name: "message.enriched",
            scope: { channel_id, topic_id },
            entity: { type: "message", id: message_id },
            data: { message_id, plugin_name, enrichments, enrichment_ids }
          })
        }
        if (rows.length === 0) return
        yield* sql`
          INSERT INTO enrichments
            (id, message_id, plugin_name, kind, span_start, span_end, data_json, created_at)
          SELECT id, message_id, plugin_name, kind, span_start, span_end, data_json, ${created_at}
          FROM ${givenEnrichments(rows)}`
        yield* events.appendAll(enriched)
      })

      /** Removes attachments that have no source any more. Call it after their sources were removed. */
      const withdraw = Effect.fnUntraced(function* (messageId: string, attachmentIds: ReadonlyArray<string>) {
        if (attachmentIds.length === 0) return
        const among = sql.in("id", attachmentIds)
        yield* sql`
          DELETE FROM attachments WHERE ${among} AND posted = 0
          AND NOT EXISTS (SELECT 1 FROM attachment_sources WHERE attachment_id = attachments.id)`
        // Another message is still a source: make it the attachment's source message.
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

      /** The distinct facts of a run. */
      const factsOf = ({ place: { topic_id }, found }: RunFindings<AttachmentDraft>): Map<string, Draft> =>
        new Map(
          found.map((draft): [string, Draft] => {
            const fact = { ...draft, topic_id }
            return [factKey(fact), fact]
          })
        )

      /** Removes attachments that were not found again, and leaves only the new ones in `wanted`. */
      const compare = Effect.fnUntraced(function* (
        findings: ReadonlyArray<RunFindings<AttachmentDraft>>,
        wanted: ReadonlyMap<string, Map<string, Draft>>
      ) {
        const before = yield* sql<
          Fact & { readonly id: string; readonly message_id: string; readonly plugin_name: string }
        >`
          SELECT s.message_id, s.plugin_name, a.id, a.topic_id, a.kind, a.key, a.dedupe_key, a.value_json
          FROM attachment_sources s JOIN attachments a ON a.id = s.attachment_id
          WHERE (s.message_id, s.plugin_name) IN
            (SELECT message_id, plugin_name FROM ${givenRuns(runs(findings))})`
        for (const row of before) {
          const { id, message_id, plugin_name } = row
          // Found again: keep the row, write no event.
          if (wanted.get(runKey(message_id, plugin_name))?.delete(factKey(row)) === true) continue
          yield* sql`
            DELETE FROM attachment_sources
            WHERE ${from(message_id, plugin_name)} AND attachment_id = ${id}`
          yield* withdraw(message_id, [id])
        }
      })

      const attach = Effect.fnUntraced(function* (findings: ReadonlyArray<RunFindings<AttachmentDraft>>) {
        if (findings.length === 0) return
        const wanted = new Map(
          findings.map((one) => [runKey(one.place.message_id, one.plugin), factsOf(one)])
        )
        yield* compare(findings, wanted)
        const created_at = yield* timestamp
        const nextId = yield* ids.reserve([...wanted.values()].reduce((sum, { size }) => sum + size, 0))
        const drafts: Array<{ readonly attachment: Attachment; readonly channel_id: string }> = []
        const rows: Array<
          Fact & { readonly id: string; readonly message_id: string; readonly plugin_name: string }
        > = []
        for (const { place, plugin: plugin_name } of findings) {
          const { message_id, channel_id } = place
          for (const fact of wanted.get(runKey(message_id, plugin_name))?.values() ?? []) {
            const id = nextId()
            const { topic_id, kind, key, dedupe_key, value, value_json } = fact
            rows.push({ id, topic_id, kind, key, dedupe_key, value_json, message_id, plugin_name })
            const attachment = {
              id,
              topic_id,
              kind,
              key,
              value_json: value,
              dedupe_key,
              source_message_id: message_id,
              created_at
            }
            drafts.push({ attachment, channel_id })
          }
        }
        if (rows.length === 0) return
        const given = givenAttachments(rows)
        const added = yield* sql<{ readonly id: string }>`
          INSERT INTO attachments
            (id, topic_id, kind, key, dedupe_key, value_json, source_message_id, posted, created_at)
          SELECT id, topic_id, kind, key, dedupe_key, value_json, message_id, 0, ${created_at}
          FROM ${given} WHERE true
          ON CONFLICT DO NOTHING RETURNING id`
        yield* sql`
          INSERT INTO attachment_sources (attachment_id, message_id, plugin_name)
          SELECT a.id, given.message_id, given.plugin_name
          FROM ${given} JOIN attachments a ON ${sameAttachment}
          WHERE true
          ON CONFLICT DO NOTHING`
        const addedIds = new Set(added.map(({ id }) => id))
        yield* events.appendAll(
          drafts
            .filter(({ attachment }) => addedIds.has(attachment.id))
            .map(({ attachment, channel_id }) => ({
              name: "topic.attachment_added",
              scope: { channel_id, topic_id: attachment.topic_id },
              entity: { type: "attachment", id: attachment.id },
              data: { attachment }
            }))
        )
      })

      const enrichments = Effect.fnUntraced(function* (messageId: string, { limit, offset = 0 }: Offset) {
        const { rows, has_more } = yield* pages.page<EnrichmentRow, SqlError.SqlError, never>({
          limit,
          read: (count, _, index) => sql`
            SELECT * FROM enrichments WHERE message_id = ${messageId} ORDER BY span_start, span_end, id
            LIMIT ${count} OFFSET ${offset + index}`
        })
        return { enrichments: rows.map(toEnrichment), has_more }
      })

      const list = makeFindingsList(sql, pages)
      return Findings.of({ enrich, attach, removeEnrichments, removeAttachments, enrichments, list })
    })
  ).pipe(Layer.provide(Pages.layer))
}
