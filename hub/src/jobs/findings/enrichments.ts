/** Enrichments: what linkifiers found in a message. */
import { Effect } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import type { NewEvent } from "../../core/Event.ts"
import { EventLog } from "../../core/EventLog.ts"
import { Ids } from "../../core/Ids.ts"
import { JsonText, listJson, spliceJson } from "../../core/JsonText.ts"
import * as Dialect from "../../database/Dialect.ts"
import * as EachRow from "../../database/EachRow.ts"
import { type Offset, Pages } from "../../database/Pages.ts"
import { v1Plugin } from "../../database/V1Copy.ts"
import type { EnrichmentDraft, RunFindings } from "./drafts.ts"

export interface EnrichmentRow {
  readonly id: string
  readonly message_id: string
  readonly plugin_name: string
  /** `null` if it is not known. */
  readonly plugin_version: string | null
  readonly kind: string
  readonly span_start: number
  readonly span_end: number
  readonly data_json: string
  readonly created_at: string
}

type NewRow = Omit<EnrichmentRow, "created_at">

const rowJson = ({ span_start, span_end, data_json, ...row }: EnrichmentRow): string =>
  spliceJson({ ...row, span: { start: span_start, end: span_end } }, "data", data_json)

/** The event of one run, with the data of each enrichment as it is stored. */
const eventOf = (rows: ReadonlyArray<NewRow>, { place, plugin }: RunFindings<unknown>): NewEvent => {
  const { message_id, topic_id, channel_id } = place
  const enrichments = rows.map(({ id, kind, span_start, span_end, data_json }) =>
    spliceJson({ id, kind, span: { start: span_start, end: span_end } }, "data", data_json)
  )
  const plugin_version = rows[0]?.plugin_version ?? null
  const about = { message_id, plugin_name: plugin, plugin_version, enrichment_ids: rows.map(({ id }) => id) }
  return {
    name: "message.enriched",
    scope: { channel_id, topic_id },
    entity: { type: "message", id: message_id },
    data: new JsonText(spliceJson(about, "enrichments", listJson(enrichments)))
  }
}

/** The statements of the table `enrichments`. */
export const makeEnrichments = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const events = yield* EventLog
  const ids = yield* Ids
  const pages = yield* Pages
  const run = { message_id: "text", plugin_name: "text" } as const
  // Those of Agentlip v1 go with the first run of a linkifier on their message.
  const migrated = yield* Effect.cached(sql`SELECT 1 FROM meta WHERE key = 'migrated_from'`)
  const givenRuns = Dialect.given(sql, run)
  const addRows = EachRow.insert(sql, "enrichments", {
    ...run,
    plugin_version: "text",
    id: "text",
    kind: "text",
    span_start: "integer",
    span_end: "integer",
    data_json: "text",
    created_at: "text"
  })

  const remove = (messageId: string, plugin?: string): Effect.Effect<void, SqlError.SqlError> =>
    Effect.asVoid(
      plugin === undefined
        ? sql`DELETE FROM enrichments WHERE message_id = ${messageId}`
        : sql`DELETE FROM enrichments WHERE message_id = ${messageId} AND plugin_name = ${plugin}`
    )

  const replace = Effect.fnUntraced(function* (
    findings: ReadonlyArray<RunFindings<EnrichmentDraft>>,
    at: string
  ) {
    if (findings.length === 0) return
    const earlier = (yield* migrated).length > 0 ? [v1Plugin] : []
    const runs = findings.flatMap(({ place: { message_id }, plugin }) =>
      [plugin, ...earlier].map((plugin_name) => ({ message_id, plugin_name }))
    )
    yield* sql`
      DELETE FROM enrichments WHERE (message_id, plugin_name) IN
        (SELECT message_id, plugin_name FROM ${givenRuns(runs)})`
    const count = findings.reduce((sum, { found }) => sum + found.length, 0)
    if (count === 0) return
    const nextId = yield* ids.reserve(count)
    const rows: Array<NewRow> = []
    const enriched: Array<NewEvent> = []
    for (const one of findings) {
      if (one.found.length === 0) continue
      const { message_id } = one.place
      const some = one.found.map(
        ({ kind, span, data_json, plugin_version }): NewRow => ({
          id: nextId(),
          message_id,
          plugin_name: one.plugin,
          plugin_version,
          kind,
          span_start: span.start,
          span_end: span.end,
          data_json
        })
      )
      rows.push(...some)
      enriched.push(eventOf(some, one))
    }
    yield* addRows(rows.map((row) => ({ ...row, created_at: at })))
    yield* events.appendAll(enriched, at)
  })

  /** Sorted by position in the text, each as JSON. */
  const list = Effect.fnUntraced(function* (messageId: string, { limit, offset = 0 }: Offset) {
    const { rows, has_more } = yield* pages.page<EnrichmentRow, SqlError.SqlError, never>({
      limit,
      read: (count, _, index) => sql`
        SELECT * FROM enrichments WHERE message_id = ${messageId} ORDER BY span_start, span_end, id
        LIMIT ${count} OFFSET ${offset + index}`
    })
    return { items: rows.map(rowJson), has_more }
  })

  return { remove, replace, list }
})
