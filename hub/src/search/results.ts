/** Converts rows of the index to results. */
import type { Attachment, Message, SearchResult } from "@agentlip/protocol"
import { attachmentText } from "./documents.ts"
import { matches } from "./matches.ts"
import type { Query } from "./Query.ts"
import { snippetOf } from "./snippets.ts"
import { type Range, wordsOf } from "./words.ts"

/** A message or an attachment, with the names of its place. */
export interface DocumentRow {
  readonly number: number
  readonly message_id: string | null
  readonly content_raw: string
  readonly sender: string
  readonly version: number
  readonly edited_at: string | null
  readonly attachment_id: string | null
  readonly kind: string
  readonly key: string | null
  readonly value_json: string
  readonly dedupe_key: string
  readonly source_message_id: string | null
  readonly created_at: string
  readonly topic_id: string
  readonly channel_id: string
  readonly channel_name: string
  readonly topic_title: string
}

const messageOf = (row: DocumentRow, id: string): Message => {
  const { topic_id, channel_id, sender, content_raw, version, created_at, edited_at } = row
  return {
    id,
    topic_id,
    channel_id,
    sender,
    content_raw,
    version,
    created_at,
    edited_at,
    deleted_at: null,
    deleted_by: null
  }
}

const attachmentOf = (row: DocumentRow, id: string): Attachment => {
  const { topic_id, kind, key, value_json, dedupe_key, source_message_id, created_at } = row
  return {
    id,
    topic_id,
    kind,
    key,
    value_json: JSON.parse(value_json),
    dedupe_key,
    source_message_id,
    created_at
  }
}

/** The result for a row, or `undefined` if it does not match after all. */
export const resultOf = (query: Query, row: DocumentRow): SearchResult | undefined => {
  const { channel_id, channel_name, topic_title } = row
  const snippetIn = (text: string) => {
    const ranges: ReadonlyArray<Range> | undefined = matches(query, wordsOf(text))
    return ranges === undefined ? undefined : snippetOf(text, ranges)
  }
  if (row.message_id !== null) {
    const message = messageOf(row, row.message_id)
    const snippet = snippetIn(message.content_raw)
    return snippet && { type: "message", message, channel_name, topic_title, snippet }
  }
  const attachment = attachmentOf(row, row.attachment_id ?? "")
  const snippet = snippetIn(attachmentText(attachment.key, attachment.value_json))
  return snippet && { type: "attachment", attachment, channel_id, channel_name, topic_title, snippet }
}
