/**
 * Kinds of plugins. A *kind* is a value: the method that a plugin must have, and the schemas of its input and output.
 * `linkifier` and `extractor` are two kinds; a hub can make its own with `makeKind`.
 */
import { Schema } from "effect"
import { isObject } from "./spec/values.ts"

const Trimmed = Schema.String.check(
  Schema.makeFilter((text) => text.trim().length > 0 || "a string that is not blank")
)

/**
 * An object of JSON values. Its depth and size are limited when the text is parsed, so only the top is checked here.
 */
const JsonObject = Schema.declare(
  (value): value is { readonly [key: string]: Schema.Json } => isObject(value),
  { expected: "a plain object" }
)

/** The message that a plugin runs on. */
export const Message = Schema.Struct({
  id: Schema.String,
  content_raw: Schema.String,
  sender: Schema.String,
  topic_id: Schema.String,
  channel_id: Schema.String,
  created_at: Schema.String
})
export type Message = typeof Message.Type

/** The input of the shipped kinds. The plugin also gets the spec's `config` in it. */
export const MessageInput = Schema.Struct({ message: Message })
export type MessageInput = typeof MessageInput.Type

/** The input of a cached plugin of the shipped kinds. Encoding drops the rest of the message. */
const MessageContent = Schema.Struct({ message: Schema.Struct({ content_raw: Schema.String }) })

const SpanOffset = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** A span of `content_raw`: UTF-16 code units, `start` inclusive, `end` exclusive. */
export const Span = Schema.Struct({ start: SpanOffset, end: SpanOffset }).check(
  Schema.makeFilter(
    ({ start, end }) => start < end || { path: ["end"], issue: `more than the start (${start})` }
  )
)
export type Span = typeof Span.Type

/** What a linkifier finds in a message. */
export const Enrichment = Schema.Struct({ kind: Trimmed, span: Span, data: JsonObject })
export type Enrichment = typeof Enrichment.Type

/** The most bytes of UTF-8 JSON in one `value_json`. */
export const maxAttachmentBytes = 16 * 1024

/** What an extractor attaches to a topic. */
export const Attachment = Schema.Struct({
  kind: Trimmed,
  key: Schema.optionalKey(Schema.String),
  value_json: JsonObject.check(
    Schema.makeFilter((value) => {
      const bytes = Buffer.byteLength(JSON.stringify(value))
      return bytes <= maxAttachmentBytes || `at most ${maxAttachmentBytes} bytes of JSON, got ${bytes}`
    })
  ),
  dedupe_key: Schema.optionalKey(Trimmed)
})
export type Attachment = typeof Attachment.Type

/** What a plugin does: its method, its input and its output. */
export interface PluginKind<Name extends string, Input, Output> {
  readonly name: Name
  /** The method a plugin of this kind must have. */
  readonly method: string
  /** Other methods that a plugin may have instead when it is only loaded, to find out its kind. Default none. */
  readonly otherMethods?: ReadonlyArray<string>
  readonly input: Schema.Codec<Input, unknown>
  readonly output: Schema.Codec<Output, unknown>
  /**
   * The part of the input that is content, without its sender and time. A plugin with `cache: true` gets only this part,
   * so that equal content has one output. Default: the whole input.
   */
  readonly content?: Schema.Codec<unknown, unknown>
  /** Rules that need the input too. Returns what is wrong, or `undefined`. */
  readonly check?: (output: Output, input: Input) => string | undefined
}

// oxlint-disable-next-line typescript/no-explicit-any -- a kind of any types: its parameters are used both ways
export type AnyKind = PluginKind<string, any, any>

/**
 * Makes a kind of plugin.
 *
 * @example
 * ```ts
 * const scorer = makeKind({
 *   name: "scorer",
 *   method: "score",
 *   input: MessageInput,
 *   output: Schema.Struct({ score: Schema.Finite })
 * })
 * ```
 */
export const makeKind = <const Name extends string, Input, Output>(
  kind: PluginKind<Name, Input, Output>
): PluginKind<Name, Input, Output> => kind

/** Finds spans in a message: `enrich` → `Enrichment[]`. */
export const linkifier = makeKind({
  name: "linkifier",
  method: "enrich",
  input: MessageInput,
  content: MessageContent,
  output: Schema.Array(Enrichment),
  check: (enrichments, { message }) => {
    const length = message.content_raw.length
    const outside = enrichments.findIndex(({ span }) => span.end > length)
    return outside < 0
      ? undefined
      : `[${outside}].span.end: expected at most ${length} (the message's length), got ${enrichments[outside]?.span.end}`
  }
})

/** Attaches facts to a topic: `extract` → `Attachment[]`. */
export const extractor = makeKind({
  name: "extractor",
  method: "extract",
  input: MessageInput,
  content: MessageContent,
  output: Schema.Array(Attachment)
})
