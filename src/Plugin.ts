/**
 * The contract between hub and plugin: kinds, specs, limits and output rules.
 *
 * A *kind* is a value: the method a plugin must have, the schema of what it is given and of what it must
 * answer. `linkifier` and `extractor` are two of them; a hub can make its own with `makeKind`. A *spec* is
 * one configured plugin of some kind; the type of its output follows from the kind.
 */
import { Duration, Schema } from "effect"
import type { Grants, IsolationLevel } from "./Capabilities.ts"
import { defaultLimits, type Limits, maxMemory, maxOutputDepth } from "./Limits.ts"

export * from "./Limits.ts"

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
export interface BreakerPolicy {
  /** Failures in a row that open the circuit. Default 3. */
  readonly failureThreshold: number
  /** How long it stays open before one probe may run. Default 60 seconds. */
  readonly cooldown: Duration.Duration
}

/** `"plugin"`: isolates stay warm for their plugin. `"never"`: a fresh isolate for each run. */
export type Reuse = "plugin" | "never"

/** Whether a process is put into a bubblewrap sandbox; `"auto"`: where bubblewrap is installed and works. */
export type Sandbox = "bubblewrap" | "none" | "auto"

/** `"audit"`: what its grants would refuse is let through and logged; what is the hub's own stays refused. */
export type Enforcement = "enforce" | "audit"

/** One configured plugin. */
export interface PluginSpec<Kind extends AnyKind = AnyKind> {
  /** Unique in a hub; names the breaker, the logs and the rows. */
  readonly name: string
  readonly kind: Kind
  /** Absolute path of the module. */
  readonly modulePath: string
  readonly config: { readonly [key: string]: unknown }
  readonly timeout: Duration.Duration
  /** How long a plugin has between its abort signal and the kill. Default 0. */
  readonly grace: Duration.Duration
  readonly isolation: IsolationLevel
  readonly reuse: Reuse
  /** How many runs of this plugin go side by side, each in an isolate of its own. Default 1. */
  readonly concurrency: number
  readonly grants: Grants
  readonly enforcement: Enforcement
  /** For isolation `"process"`. */
  readonly sandbox: Sandbox
  /** `sha256-…` of the plugin's module graph; any other graph is refused. */
  readonly integrity?: string
  /**
   * Its output follows from the content, its config and its modules alone, and may be given again without a run.
   * It is given nothing but the content, and loads nothing that its module graph does not name literally.
   */
  readonly cache: boolean
  readonly limits: Limits
  /** What differs from the hub's breaker policy. */
  readonly breaker: Partial<BreakerPolicy>
}

/** What a spec is made from: name, kind and module path; the rest has defaults. */
export interface PluginSpecOptions<Kind extends AnyKind> {
  readonly name: string
  readonly kind: Kind
  readonly modulePath: string
  readonly config?: { readonly [key: string]: unknown }
  /** Default 5 seconds. */
  readonly timeout?: Duration.Input
  /** Default 0. */
  readonly grace?: Duration.Input
  /** Default `"thread"`. */
  readonly isolation?: IsolationLevel
  /** Default `"plugin"`. */
  readonly reuse?: Reuse
  /** Default 1. */
  readonly concurrency?: number
  /** Default none. */
  readonly grants?: Grants
  /** Default `"enforce"`. */
  readonly enforcement?: Enforcement
  /** Default `"none"`. */
  readonly sandbox?: Sandbox
  /** Default: whatever is there is run. */
  readonly integrity?: string
  /** Default `false`. */
  readonly cache?: boolean
  readonly limits?: Partial<Limits>
  readonly breaker?: { readonly failureThreshold?: number; readonly cooldown?: Duration.Input }
}

export const defaultTimeout = Duration.seconds(5)

/**
 * Makes a spec, filling in the defaults.
 *
 * @example
 * ```ts
 * const urls = makeSpec({ name: "urls", kind: linkifier, modulePath: "/srv/plugins/urls.ts", timeout: "2 seconds" })
 * ```
 */
export const makeSpec = <Kind extends AnyKind>(options: PluginSpecOptions<Kind>): PluginSpec<Kind> => ({
  name: options.name,
  kind: options.kind,
  modulePath: options.modulePath,
  config: options.config ?? {},
  timeout: options.timeout === undefined ? defaultTimeout : Duration.fromInputUnsafe(options.timeout),
  grace: Duration.fromInputUnsafe(options.grace ?? 0),
  isolation: options.isolation ?? "thread",
  reuse: options.reuse ?? "plugin",
  concurrency: options.concurrency ?? 1,
  grants: options.grants ?? {},
  enforcement: options.enforcement ?? "enforce",
  sandbox: options.sandbox ?? "none",
  ...(options.integrity === undefined ? {} : { integrity: options.integrity }),
  cache: options.cache ?? false,
  limits: { ...defaultLimits, ...options.limits },
  breaker: {
    ...(options.breaker?.failureThreshold === undefined
      ? {}
      : { failureThreshold: options.breaker.failureThreshold }),
    ...(options.breaker?.cooldown === undefined
      ? {}
      : { cooldown: Duration.fromInputUnsafe(options.breaker.cooldown) })
  }
})

const isPositiveInt = (value: number): boolean => Number.isSafeInteger(value) && value > 0

const isJson = (value: unknown): boolean => {
  try {
    return JSON.stringify(value) !== undefined
  } catch {
    // Cyclic or with a BigInt: not JSON, which is the answer.
    return false
  }
}

/** Why a spec's outputs cannot be remembered, or `undefined`. */
export const cacheProblem = (spec: Pick<PluginSpec, "grants" | "enforcement">): string | undefined => {
  const granted = (["read", "write", "net", "env"] as const).filter(
    (kind) => (spec.grants[kind] ?? []).length > 0
  )
  if (granted.length > 0) {
    return `cache: true contradicts grants.${granted.join(", grants.")}: what it reaches may change while its input does not; remove one of them`
  }
  if (spec.enforcement === "audit") {
    return 'cache: true contradicts enforcement "audit": what is answered without a run is not audited; remove one of them'
  }
  return undefined
}

/** What is wrong with a spec that was made in code rather than read by `loadConfig`, or `undefined`. */
export const specProblem = (spec: PluginSpec): string | undefined => {
  if (spec.name.trim() === "") return "its name is blank; give it one that is unique in the hub"
  if (!isJson(spec.config))
    return "its config cannot be written as JSON; use plain objects, arrays, strings, numbers"
  if (!Duration.isFinite(spec.timeout) || Duration.toMillis(spec.timeout) <= 0) {
    return "its timeout must be a finite time above 0"
  }
  if (!Duration.isFinite(spec.grace)) return "its grace must be a finite time"
  if (!isPositiveInt(spec.concurrency)) return "its concurrency must be a whole number from 1"
  for (const [limit, value] of Object.entries(spec.limits)) {
    if (value !== undefined && !isPositiveInt(value)) return `limits.${limit} must be a whole number from 1`
  }
  if (spec.limits.memory > maxMemory) {
    return `limits.memory must be at most ${maxMemory} MiB: nearer to the engine's own limit the host could not stop it in time`
  }
  if (spec.limits.outputDepth > maxOutputDepth) {
    return `limits.outputDepth must be at most ${maxOutputDepth}: deeper values cannot be decoded safely`
  }
  if (spec.integrity !== undefined && !/^sha256-[A-Za-z0-9+/]{43}=$/.test(spec.integrity)) {
    return 'its integrity must be "sha256-" and 44 characters of base64, as `agentlip plugin integrity FILE` prints it'
  }
  if (spec.cache) {
    const problem = cacheProblem(spec)
    if (problem !== undefined) return problem
  }
  const { failureThreshold, cooldown } = spec.breaker
  if (failureThreshold !== undefined && !isPositiveInt(failureThreshold)) {
    return "breaker.failureThreshold must be a whole number from 1"
  }
  if (cooldown !== undefined && (!Duration.isFinite(cooldown) || Duration.toMillis(cooldown) <= 0)) {
    return "breaker.cooldown must be a finite time above 0"
  }
  return undefined
}

// oxlint-disable typescript/no-explicit-any -- matched, never used: the kind's parameters go both ways
type KindInput<Kind> = Kind extends PluginKind<string, infer Input, any> ? Input : never
type KindOutput<Kind> = Kind extends PluginKind<string, any, infer Output> ? Output : never
// oxlint-enable typescript/no-explicit-any

/** What a spec's plugin is called with. */
export type InputOf<Spec extends PluginSpec> = KindInput<Spec["kind"]>

/** What a spec's plugin answers once it is validated. */
export type OutputOf<Spec extends PluginSpec> = KindOutput<Spec["kind"]>
