/**
 * The contract between hub and plugin: kinds, specs, limits and output rules.
 *
 * A *kind* is a value: the method a plugin must have, the schema of what it is given and of what it must
 * answer. `linkifier` and `extractor` are two of them; a hub can make its own with `makeKind`. A *spec* is
 * one configured plugin of some kind; the type of its output follows from the kind.
 */
import { Duration, Option, Result, Schema } from "effect"
import type { CodePlace } from "./Errors.ts"
import { type PrepareError, unprepared } from "./PrepareError.ts"
import { problemsOf, type SpecProblem } from "./spec/problems.ts"
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

export { maxMemory, maxOutputDepth } from "./spec/settings.ts"

const Trimmed = Schema.String.check(
  Schema.makeFilter((text) => text.trim().length > 0 || "a string that is not blank")
)

const isPlainObject = (value: unknown): value is { readonly [key: string]: Schema.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * An object of JSON values. Its depth and size were capped when the text was parsed, so that it is
 * enough to look at the top.
 */
const JsonObject = Schema.declare(isPlainObject, { expected: "a plain object" })

/** The message a plugin is asked about. */
export const Message = Schema.Struct({
  id: Schema.String,
  content_raw: Schema.String,
  sender: Schema.String,
  topic_id: Schema.String,
  channel_id: Schema.String,
  created_at: Schema.String
})
export type Message = typeof Message.Type

/** What the shipped kinds are called with; the spec's `config` joins it on the way to the plugin. */
export const MessageInput = Schema.Struct({ message: Message })
export type MessageInput = typeof MessageInput.Type

/** What a cached plugin of the shipped kinds is given: encoding drops the rest of the message. */
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

/** The most bytes of UTF-8 JSON that one `value_json` may take. */
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

/** What a plugin does: its method, what it is called with and what it must answer. */
export interface PluginKind<Name extends string, Input, Output> {
  readonly name: Name
  /** The method a plugin of this kind must have. */
  readonly method: string
  /** Methods that do as well where a plugin is only loaded, to find out what it is. Default none. */
  readonly otherMethods?: ReadonlyArray<string>
  readonly input: Schema.Codec<Input, unknown>
  readonly output: Schema.Codec<Output, unknown>
  /**
   * The part of the input that is content, and not about whom or when it comes from. A plugin with `cache: true` is
   * given this part alone, so that equal content has one answer. Default: all of the input.
   */
  readonly content?: Schema.Codec<unknown, unknown>
  /** Rules that need the input too; answers what is wrong, or `undefined`. */
  readonly check?: (output: Output, input: Input) => string | undefined
}

// oxlint-disable-next-line typescript/no-explicit-any -- "of whatever types" of parameters that are used both ways
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

/** When a plugin's breaker opens, and for how long. */
export interface BreakerPolicy extends Values<typeof breaker> {}

/** What a run may take and give; every limit is enforced. */
export interface Limits extends Values<typeof limits>, Partial<Values<typeof optionalLimits>> {}

/** `"plugin"`: isolates stay warm for their plugin. `"never"`: a fresh isolate for each run. */
export type Reuse = (typeof settings.reuse)["Type"]

/** Whether a process is put into a bubblewrap sandbox; `"auto"`: where bubblewrap is installed and works. */
export type Sandbox = (typeof settings.sandbox)["Type"]

/** `"audit"`: what its grants would refuse is let through and logged; what is the hub's own stays refused. */
export type Enforcement = (typeof settings.enforcement)["Type"]

/** The settings of a configured plugin. */
export interface PluginSettings extends Values<typeof settings>, Partial<Values<typeof optionalSettings>> {
  readonly limits: Limits
  /** What differs from the hub's breaker policy. */
  readonly breaker: Partial<BreakerPolicy>
}

/** One configured plugin. */
export interface PluginSpec<Kind extends AnyKind = AnyKind> extends PluginSettings {
  /** Unique in a hub; names the breaker, the logs and the rows. */
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

/** The settings of a plugin as they are given in code; what is left out has its default. */
export interface PluginSettingsOptions
  extends GivenInCode<typeof settings>,
    GivenInCode<typeof optionalSettings> {
  readonly limits?: GivenInCode<typeof limits & typeof optionalLimits> | undefined
  readonly breaker?: GivenInCode<typeof breaker> | undefined
}

/** What a spec is made from: name, kind and module path; the rest has defaults. */
export interface PluginSpecOptions<Kind extends AnyKind> extends PluginSettingsOptions {
  readonly name: string
  readonly kind: Kind
  readonly modulePath: string
}

/** What a spec has if nothing is said. */
export const defaultSettings: PluginSettings = Settings.make({})

export const defaultLimits: Limits = defaultSettings.limits

/** Adds the values that are given, except `undefined`, to the defaults. */
const withDefaults = <A extends object>(defaults: A, given: unknown): A =>
  // A caller without types may give anything. It is kept as it is, and `specProblems` reports it.
  (isObject(given)
    ? { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
    : given) as A

/** A time of any form. What is no time is kept as it is, and `specProblems` reports it. */
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

/** A spec as a schema, its kind apart, which is code: what config files write decodes to what a spec holds. */
export const PluginSpec = Schema.Struct({ name: text, modulePath: text, ...Settings.fields })

const decodeSpec = Schema.decodeUnknownResult(
  Schema.toType(Schema.Struct({ ...PluginSpec.fields, kind: Schema.Unknown })),
  { errors: "all", onExcessProperty: "error" }
)

/** Everything that is wrong with a spec that was made in code, each problem with its place. */
export const specProblems = (given: PluginSpec): ReadonlyArray<SpecProblem> => {
  const { unresolved: _, ...spec } = given
  const decoded = decodeSpec(spec)
  return [
    ...(Result.isFailure(decoded) ? problemsOf(spec, decoded.failure.issue) : []),
    ...contradictions(spec)
  ]
}

/** Checks a spec that was made in code. Fails with all its problems in one line. */
export const checkSpec = (spec: PluginSpec): Result.Result<void, PrepareError> => {
  const problems = specProblems(spec).map(({ path, problem }) => `${path}: ${problem}`)
  return problems.length === 0 ? Result.void : Result.fail(unprepared(problems.join("; ")))
}

// oxlint-disable typescript/no-explicit-any -- matched, never used: the kind's parameters go both ways
type KindInput<Kind> = Kind extends PluginKind<string, infer Input, any> ? Input : never
type KindOutput<Kind> = Kind extends PluginKind<string, any, infer Output> ? Output : never
// oxlint-enable typescript/no-explicit-any

/** What a spec's plugin is called with. */
export type InputOf<Spec extends PluginSpec> = KindInput<Spec["kind"]>

/** What a spec's plugin answers once it is validated. */
export type OutputOf<Spec extends PluginSpec> = KindOutput<Spec["kind"]>
