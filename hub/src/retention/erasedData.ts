/** What stays of an event of an erased message: all but the message's text and what was found in it. */
import { Predicate } from "effect"

/** Stands for the text of a deleted message. */
export const tombstone = "[deleted]"

type Data = { readonly [key: string]: unknown }

const changes: { readonly [name: string]: (data: Data) => Data } = {
  "message.created": ({ message, ...data }) =>
    Predicate.isObject(message) ? { ...data, message: { ...message, content_raw: tombstone } } : data,
  "message.edited": (data) => ({ ...data, old_content: tombstone, new_content: tombstone }),
  "message.enriched": (data) => ({ ...data, enrichments: [] }),
  // Its text may quote the message.
  "plugin.failed": (data) => ({ ...data, message: tombstone }),
  "topic.attachment_added": ({ attachment, ...data }) =>
    Predicate.isObject(attachment)
      ? { ...data, attachment: { ...attachment, key: null, value_json: {}, dedupe_key: "" } }
      : data
}

/** The data of an event without the text, as JSON; `undefined` if it has none of it. */
export const erasedData = (name: string, data_json: string): string | undefined => {
  // The log holds JSON objects only.
  const data: Data = JSON.parse(data_json)
  // Data of Agentlip v1 that was no JSON object.
  if ("invalid" in data) return "{}"
  const changed = changes[name]
  if (changed === undefined) return undefined
  const text = JSON.stringify(changed(data))
  return text === data_json ? undefined : text
}
