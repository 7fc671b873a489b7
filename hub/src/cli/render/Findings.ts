/** Formats findings as lines of text. */
import { printableLine } from "@agentlip/plugin-runtime/text"

/** The fields that an enrichment has both in the API and in events. */
export interface FoundSpan {
  readonly kind: string
  readonly span: { readonly start: number; readonly end: number }
  readonly data: unknown
}

/**
 * For example `urls: url "https://example.com" {"host":"example.com"}`. The quoted text is left out if `content` is
 * unknown.
 */
export const enrichmentLine = (plugin: string, { kind, span, data }: FoundSpan, content?: string): string => {
  const text = content === undefined ? "" : ` ${JSON.stringify(content.slice(span.start, span.end))}`
  return printableLine(`${plugin}: ${kind}${text} ${JSON.stringify(data)}`)
}

/** For example `attached decision {"text":"ship it"}`. */
export const attachmentLine = (attachment: {
  readonly kind: string
  readonly key: string | null
  readonly value_json: unknown
}): string => {
  const { kind, key, value_json } = attachment
  const name = key === null || key === "" ? kind : `${kind} ${key}`
  return printableLine(`attached ${name} ${JSON.stringify(value_json)}`)
}
