/**
 * The contract between hub and plugin: kinds, specs, limits and output rules.
 *
 * A *kind* is a value: the method that a plugin must have, and the schemas of its input and output. `linkifier` and
 * `extractor` are two kinds; a hub can make its own with `makeKind`. A *spec* is one configured plugin of a kind. The type
 * of its output follows from the kind.
 */
import { Duration, Option, Result, Schema } from "effect"
import type { CodePlace, ConfigProblem } from "./Errors.ts"
import { problemsOf } from "./spec/problems.ts"
import {
  type breaker,
  contradictions,
  type limits,
  type optionalLimits,
  type optionalSettings,
  Settings,
  type settings
} from "./spec/settings.ts"
import { type Given, isObject, text, type Values } from "./spec/values.ts"

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

/** When a plugin's circuit opens, and for how long. */
export interface BreakerPolicy extends Values<typeof breaker> {}

/** The limits of a run. Every limit is enforced. */
export interface Limits extends Values<typeof limits>, Partial<Values<typeof optionalLimits>> {}

/** The settings of a configured plugin. */
export interface PluginSettings extends Values<typeof settings>, Partial<Values<typeof optionalSettings>> {
  readonly limits: Limits
  /** What differs from the hub's breaker policy. */
  readonly breaker: Partial<BreakerPolicy>
}

/** One configured plugin. */
export interface PluginSpec<Kind extends AnyKind = AnyKind> extends PluginSettings {
  /** Unique in a hub. Names the circuit, the logs and the rows. */
  readonly name: string
  readonly kind: Kind
  /** Absolute path of the module. */
  readonly modulePath: string
  /**
   * Why the module could not be found when the spec was made: each run and load fails with this as a `LOAD_ERROR`.
   * `loadConfig` sets it if the package that a `modulePath` names is broken.
   */
  readonly unresolved?: { readonly reason: string; readonly place?: CodePlace }
}

type GivenInCode<Fields extends { readonly [key: string]: { readonly Type: unknown } }> = Given<
  Fields,
  Duration.Input,
  undefined
>

/** The settings of a plugin as code gives them. Settings that are left out have their defaults. */
export interface PluginSettingsOptions
  extends GivenInCode<typeof settings>,
    GivenInCode<typeof optionalSettings> {
  readonly limits?: GivenInCode<typeof limits & typeof optionalLimits> | undefined
  readonly breaker?: GivenInCode<typeof breaker> | undefined
}

/** The options of `makeSpec`: name, kind and module path. All others have defaults. */
export interface PluginSpecOptions<Kind extends AnyKind> extends PluginSettingsOptions {
  readonly name: string
  readonly kind: Kind
  readonly modulePath: string
}

/** The default settings of a spec. */
export const defaultSettings: PluginSettings = Settings.make({})

export const defaultLimits: Limits = defaultSettings.limits

/** Adds the values that are given, except `undefined`, to the defaults. */
const withDefaults = <A extends object>(defaults: A, given: unknown): A =>
  // A caller without types may give anything. It is kept as it is, and `specProblems` reports it.
  (isObject(given)
    ? { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
    : given) as A

/** A time of any form. Any other value is kept as it is, and `specProblems` reports it. */
const timeOf = (given: Duration.Input): Duration.Duration =>
  Option.getOrElse(Duration.fromInput(given), () => given as Duration.Duration)

/**
 * Makes a spec and fills in the defaults. Never throws: an invalid value or an unknown key is a `LOAD_ERROR` of the
 * plugin's runs, and `specProblems` lists all of them.
 *
 * @example
 * ```ts
 * const urls = makeSpec({ name: "urls", kind: linkifier, modulePath: "/srv/plugins/urls.ts", timeout: "2 seconds" })
 * ```
 */
export const makeSpec = <Kind extends AnyKind>({
  name,
  kind,
  modulePath,
  timeout = defaultSettings.timeout,
  grace = defaultSettings.grace,
  limits = {},
  breaker = {},
  ...settings
}: PluginSpecOptions<Kind>): PluginSpec<Kind> => {
  const policy = withDefaults<object>({}, breaker)
  return {
    ...withDefaults(defaultSettings, settings),
    name,
    kind,
    modulePath,
    timeout: timeOf(timeout),
    grace: timeOf(grace),
    limits: withDefaults(defaultLimits, limits),
    breaker: breaker?.cooldown === undefined ? policy : { ...policy, cooldown: timeOf(breaker.cooldown) }
  }
}

/** A spec as a schema, without its kind, which is code. Decodes the settings of a config file to those of a spec. */
export const PluginSpec = Schema.Struct({ name: text, modulePath: text, ...Settings.fields })

const decodeSpec = Schema.decodeUnknownResult(
  Schema.toType(Schema.Struct({ ...PluginSpec.fields, kind: Schema.Unknown })),
  { errors: "all", onExcessProperty: "error" }
)

/** All problems of a spec that was made in code, each with its place. */
export const specProblems = (given: PluginSpec): ReadonlyArray<ConfigProblem> => {
  const { unresolved: _, ...spec } = given
  const decoded = decodeSpec(spec)
  return [
    ...(Result.isFailure(decoded) ? problemsOf(spec, decoded.failure.issue) : []),
    ...contradictions(spec)
  ]
}

// oxlint-disable typescript/no-explicit-any -- matched, never used: the kind's parameters go both ways
type KindInput<Kind> = Kind extends PluginKind<string, infer Input, any> ? Input : never
type KindOutput<Kind> = Kind extends PluginKind<string, any, infer Output> ? Output : never
// oxlint-enable typescript/no-explicit-any

/** The input of a spec's plugin. */
export type InputOf<Spec extends PluginSpec> = KindInput<Spec["kind"]>

/** The validated output of a spec's plugin. */
export type OutputOf<Spec extends PluginSpec> = KindOutput<Spec["kind"]>
