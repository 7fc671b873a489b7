/** How long the texts of a request may be, in UTF-16 units. A longer one is `INVALID_INPUT`, with its field and the bound. */
import { Schema } from "effect"

/** The bounds, by field. `content_raw` and `value_json` have theirs in bytes: 64 and 16 KiB. */
export const bounds = {
  name: 100,
  title: 200,
  description: 4_096,
  sender: 256,
  actor: 256,
  kind: 256,
  key: 1_024,
  /** By default it is the JSON of the value. */
  dedupe_key: 16_384,
  id: 256
} as const

const upTo = (longest: number) => Schema.String.check(Schema.isMaxLength(longest))

const notBlank = Schema.makeFilter((given: string) => given.trim().length > 0 || "must not be blank")

/** Of a message. Its bound is in bytes. */
export const content = Schema.NonEmptyString
export const channelName = upTo(bounds.name).check(notBlank)
export const title = upTo(bounds.title).check(notBlank)
export const description = upTo(bounds.description)
export const sender = upTo(bounds.sender).check(notBlank)
export const actor = upTo(bounds.actor).check(notBlank)
export const kind = upTo(bounds.kind).check(notBlank)
export const key = upTo(bounds.key)
export const dedupeKey = upTo(bounds.dedupe_key).check(notBlank)
/** Of a message, topic or channel, or the name of a plugin, which stands for one. */
export const id = upTo(bounds.id)

/** A time in ISO 8601. */
export const time = upTo(64).check(
  Schema.makeFilter(
    (given: string) =>
      (/^\d{4}-\d\d-\d\dT/.test(given) && !Number.isNaN(Date.parse(given))) ||
      "must be a time in ISO 8601, such as 2026-01-31T00:00:00Z"
  )
)
