/** Reads the findings of several messages at once, each as JSON. */
import { type Finding, InvalidInput } from "@agentlip/protocol"
import { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { spliceJson } from "../../core/JsonText.ts"
import type { Pages } from "../../database/Pages.ts"
import type { EnrichmentRow } from "./enrichments.ts"

/** A finding of either type. Each type has columns that are `null` in rows of the other one. */
interface FindingRow extends EnrichmentRow {
  readonly type: Finding["type"]
  readonly topic_id: string
  readonly key: string | null
  readonly dedupe_key: string
  readonly source_message_id: string | null
}

const findingJson = (row: FindingRow): string => {
  const { type, id, message_id, plugin_name, plugin_version, kind, data_json, created_at } = row
  if (type === "enrichment") {
    const span = { start: row.span_start, end: row.span_end }
    const about = { type, id, message_id, plugin_name, plugin_version, kind, created_at, span }
    return spliceJson(about, "data", data_json)
  }
  const { topic_id, key, dedupe_key, source_message_id } = row
  const attachment = { id, topic_id, kind, key, dedupe_key, source_message_id, created_at }
  return spliceJson(
    { type, message_id, plugin_name, plugin_version },
    "attachment",
    spliceJson(attachment, "value_json", data_json)
  )
}

export interface FindingsPage {
  /** Default: as many as fit into a page's byte bound. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly after?: string | undefined
}

/** A place in the findings of several messages. */
interface FindingsPlace {
  readonly messageId: string
  /** Findings of this message on earlier pages. */
  readonly skip: number
}

const placeIn = (cursor: string): FindingsPlace | undefined => {
  const [, skip = "", messageId = ""] = /^(\d{1,15})-(.+)$/s.exec(cursor) ?? []
  return messageId === "" ? undefined : { messageId, skip: Number(skip) }
}

/** The cursor after the rows of a page. */
const nextOf = (rows: ReadonlyArray<FindingRow>, start: FindingsPlace): string => {
  const messageId = rows.at(-1)?.message_id ?? start.messageId
  const here = rows.filter(({ message_id }) => message_id === messageId).length
  return `${here + (messageId === start.messageId ? start.skip : 0)}-${messageId}`
}

/**
 * Reads the findings of several messages, in the order of their ids here. Those of one message: first enrichments, by
 * their place in the text, then attachments. `next` is the `after` of the next page, or `null`.
 */
export const makeFindingsList = (sql: SqlClient.SqlClient, pages: Pages["Service"]) => {
  /** The findings of one message, `skip` left out. Indexes keep this small, whatever other messages have. */
  const findingsOf = (messageId: string, count: number, skip: number) => sql<FindingRow>`
    SELECT 'enrichment' AS type, id, message_id, plugin_name, plugin_version, kind, span_start, span_end,
      data_json, created_at, NULL AS topic_id, NULL AS key, NULL AS dedupe_key, NULL AS source_message_id
    FROM enrichments WHERE message_id = ${messageId}
    UNION ALL
    SELECT 'attachment', a.id, s.message_id, s.plugin_name, s.plugin_version, a.kind, 0, 0, a.value_json,
      a.created_at, a.topic_id, a.key, a.dedupe_key, a.source_message_id
    FROM attachment_sources s JOIN attachments a ON a.id = s.attachment_id
    WHERE s.message_id = ${messageId}
    ORDER BY type DESC, span_start, span_end, id, plugin_name LIMIT ${count} OFFSET ${skip}`

  const list = Effect.fnUntraced(function* (
    messageIds: ReadonlyArray<string>,
    { limit, after }: FindingsPage
  ) {
    const all = [...new Set(messageIds)]
    const start = after === undefined ? { messageId: all[0] ?? "", skip: 0 } : placeIn(after)
    let at = all.indexOf(start?.messageId ?? "")
    if (start === undefined || at < 0) {
      return yield* new InvalidInput({ error: "after: must be the next of a page of the same messages" })
    }
    let skip = start.skip
    const { rows, has_more } = yield* pages.page<FindingRow, SqlError.SqlError, never>({
      limit,
      read: Effect.fnUntraced(function* (count) {
        const found: Array<FindingRow> = []
        for (let id = all[at]; id !== undefined; id = all[++at], skip = 0) {
          const wanted = count - found.length
          const some = yield* findingsOf(id, wanted, skip)
          found.push(...some)
          skip += some.length
          if (some.length === wanted) break
        }
        return found
      })
    })
    return { items: rows.map(findingJson), next: has_more ? nextOf(rows, start) : null }
  })
  return list
}
