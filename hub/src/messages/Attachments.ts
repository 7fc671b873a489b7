/** Attachments that clients post and read. jobs/Findings.ts writes those that plugins find. */
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import {
  type Attachment,
  InvalidInput,
  type JsonObject,
  type NotFound,
  PayloadTooLarge
} from "@agentlip/protocol"
import * as Dialect from "../database/Dialect.ts"
import { EventLog } from "../core/EventLog.ts"
import { Ids } from "../core/Ids.ts"
import { JsonText, spliceJson } from "../core/JsonText.ts"
import { Pages } from "../database/Pages.ts"
import { timestamp } from "../timestamp.ts"
import { Topics } from "./Topics.ts"

export const maxAttachmentBytes = 16 * 1024

export interface NewAttachment {
  readonly kind: string
  readonly key?: string | undefined
  readonly value_json: JsonObject
  readonly dedupe_key?: string | undefined
  readonly source_message_id?: string | undefined
}

export interface AttachmentQuery {
  readonly kind?: string | undefined
  /** Default: as many as fit into a page's byte bound. */
  readonly limit?: number | undefined
  readonly after_id?: string | undefined
}

interface AttachmentRow extends Omit<Attachment, "value_json"> {
  readonly value_json: string
}

const columns =
  "id, topic_id, kind, key, value_json, dedupe_key, source_message_id, created_at" satisfies string

const toJson = ({ value_json, ...row }: AttachmentRow): string => spliceJson(row, "value_json", value_json)

const toAttachment = (row: AttachmentRow): Attachment => ({ ...row, value_json: JSON.parse(row.value_json) })

const longestUrl = 2_048
const longestTitle = 500

const isWebUrl = (text: string): boolean => {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.hostname !== ""
}

/** The problem with the value of an attachment of kind `url`, which clients show as a link. */
const urlProblem = ({ url, title }: JsonObject): string | undefined => {
  if (typeof url !== "string") return "value_json.url: must be a text"
  if (url.length > longestUrl) return `value_json.url: at most ${longestUrl} characters`
  // oxlint-disable-next-line no-control-regex -- browsers ignore some of them, also inside of `javascript:`
  if (/[<>"\u0000-\u0020\u007f]/.test(url)) return "value_json.url: must have no space, quote, < or >"
  if (!isWebUrl(url)) return "value_json.url: must be an address with http:// or https://"
  if (title === undefined || title === null) return undefined
  if (typeof title !== "string") return "value_json.title: must be a text"
  return title.length > longestTitle ? `value_json.title: at most ${longestTitle} characters` : undefined
}

const requireUrl = (value: JsonObject): Effect.Effect<void, InvalidInput> => {
  const error = urlProblem(value)
  return error === undefined ? Effect.void : Effect.fail(new InvalidInput({ error }))
}

export class Attachments extends Context.Service<
  Attachments,
  {
    /** Each as JSON, newest first, starting after the attachment `after_id`. */
    readonly list: (
      topicId: string,
      query: AttachmentQuery
    ) => Effect.Effect<
      { readonly items: ReadonlyArray<string>; readonly has_more: boolean },
      NotFound | SqlError.SqlError
    >
    /** Adds an attachment. If it exists already, returns it with `event_id: null`. */
    readonly post: (
      topicId: string,
      attachment: NewAttachment
    ) => Effect.Effect<
      { readonly attachment: Attachment; readonly event_id: number | null },
      NotFound | InvalidInput | PayloadTooLarge | SqlError.SqlError
    >
  }
>()("@agentlip/hub/Attachments") {
  static readonly layer: Layer.Layer<Attachments, never, SqlClient.SqlClient | EventLog | Ids | Topics> =
    Layer.effect(
      Attachments,
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const events = yield* EventLog
        const ids = yield* Ids
        const topics = yield* Topics
        const pages = yield* Pages
        const givenFact = Dialect.given(sql, {
          topic_id: "text",
          kind: "text",
          key: "text",
          dedupe_key: "text"
        })
        const sameAttachment = sql.literal(Dialect.sameAttachment(sql))

        const list = Effect.fnUntraced(function* (topicId: string, query: AttachmentQuery) {
          const { kind, limit, after_id } = query
          yield* topics.get(topicId)
          const ofKind = kind === undefined ? sql`TRUE` : sql`kind = ${kind}`
          const { rows, has_more } = yield* pages.page<AttachmentRow, SqlError.SqlError, never>({
            limit,
            read: (count, last) => {
              const after = last?.id ?? after_id
              const rest = after === undefined ? sql`TRUE` : sql`id < ${after}`
              return sql`
                SELECT ${sql.literal(columns)} FROM attachments
                WHERE topic_id = ${topicId} AND ${ofKind} AND ${rest}
                ORDER BY id DESC LIMIT ${count}`
            }
          })
          return { items: rows.map(toJson), has_more }
        })

        const requireSource = Effect.fnUntraced(function* (messageId: string, topicId: string) {
          const found = yield* sql`SELECT 1 FROM messages WHERE id = ${messageId} AND topic_id = ${topicId}`
          if (found.length === 0) {
            return yield* new InvalidInput({
              error: "source_message_id: there is no such message in the topic"
            })
          }
        })

        const post = Effect.fnUntraced(function* (topic_id: string, given: NewAttachment) {
          const value_json = JSON.stringify(given.value_json)
          if (Buffer.byteLength(value_json) > maxAttachmentBytes) {
            return yield* new PayloadTooLarge({
              error: `value_json: at most ${maxAttachmentBytes} bytes of JSON`
            })
          }
          if (given.kind === "url") yield* requireUrl(given.value_json)
          const { channel_id } = yield* topics.get(topic_id)
          if (given.source_message_id !== undefined) yield* requireSource(given.source_message_id, topic_id)
          const key = given.key ?? null
          const dedupe_key = given.dedupe_key ?? value_json
          const created_at = yield* timestamp
          const row = {
            id: yield* ids.next,
            topic_id,
            kind: given.kind,
            key,
            value_json,
            dedupe_key,
            source_message_id: given.source_message_id ?? null,
            posted: 1,
            created_at
          }
          const [added] = yield* sql<AttachmentRow>`
            INSERT INTO attachments ${sql.insert(row)} ON CONFLICT DO NOTHING RETURNING ${sql.literal(columns)}`
          if (added === undefined) {
            // A client has posted it now, so it stays even if the message it was found in is removed.
            const [there] = yield* sql<AttachmentRow>`
              UPDATE attachments SET posted = 1
              WHERE id IN (SELECT a.id FROM ${givenFact([row])} JOIN attachments a ON ${sameAttachment})
              RETURNING ${sql.literal(columns)}`
            return there === undefined
              ? yield* Effect.die("an attachment conflicts with one that is not there")
              : { attachment: toAttachment(there), event_id: null }
          }
          const attachment = toAttachment(added)
          const event_id = yield* events.append(
            {
              name: "topic.attachment_added",
              scope: { channel_id, topic_id },
              entity: { type: "attachment", id: added.id },
              data: new JsonText(spliceJson({}, "attachment", toJson(added)))
            },
            created_at
          )
          return { attachment, event_id }
        }, sql.withTransaction)

        return Attachments.of({ list, post })
      })
    ).pipe(Layer.provide(Pages.layer))
}
