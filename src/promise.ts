/**
 * The runtime for hubs without Effect: promises in, results out. A thin skin over the same Layers, with the
 * same rules.
 */
import { Duration, Effect, Layer, ManagedRuntime } from "effect"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { type BreakerState, CircuitBreaker } from "./CircuitBreaker.ts"
import { LoadError, type PluginError, type PluginErrorCode } from "./Errors.ts"
import {
  type Attachment,
  defaultSettings,
  type Enrichment,
  extractor,
  linkifier,
  makeSpec,
  type MessageInput,
  type PluginSettingsOptions,
  type PluginSpec,
  specProblems
} from "./Plugin.ts"
import { ResultCache } from "./ResultCache.ts"
import { PluginRuntime } from "./Runtime.ts"
import { unknownKey } from "./spec/problems.ts"
import { optionalSettings } from "./spec/settings.ts"
import { shown } from "./text.ts"
import { type WorkerOptions, WorkerLayer } from "./WorkerLayer.ts"

/** One plugin, one input, and any setting of a spec: times in milliseconds, `config` beside the message. */
export interface RunPluginOptions
  extends Omit<PluginSettingsOptions, "config" | "timeout" | "grace" | "breaker"> {
  readonly type: "linkifier" | "extractor"
  /** Path or `file:` URL of the plugin's module. */
  readonly modulePath: string
  readonly input: MessageInput & { readonly config?: { readonly [key: string]: unknown } }
  /**
   * Names the circuit breaker and the errors. Default: the module's file name without its extension; with as many of
   * its folders as it takes (`b/plugin`) if the host knows another module by that name.
   */
  readonly pluginName?: string | undefined
  /** Wall clock, for loading and for each run. Default 5,000. */
  readonly timeoutMs?: number | undefined
  /** Time between the abort signal and the kill; at 0 there is no signal. Default 0. */
  readonly graceMs?: number | undefined
  /** What differs from the host's breaker policy. */
  readonly breaker?:
    | { readonly failureThreshold?: number | undefined; readonly cooldownMs?: number | undefined }
    | undefined
}

/** What plugins of each type return. */
export interface PluginOutputs {
  readonly linkifier: ReadonlyArray<Enrichment>
  readonly extractor: ReadonlyArray<Attachment>
}

/** The type of plugin that returns `T`; either, if `T` says nothing of its items. */
export type PluginTypeOf<T> =
  T extends ReadonlyArray<infer Item>
    ? Item extends { readonly span: unknown }
      ? "linkifier"
      : Item extends { readonly value_json: unknown }
        ? "extractor"
        : keyof PluginOutputs
    : keyof PluginOutputs

/** The result's type follows from `type`; a type that is given must be one that such a plugin returns. */
export interface RunPlugin {
  <Type extends keyof PluginOutputs>(
    options: RunPluginOptions & { readonly type: Type }
  ): Promise<RunPluginResult<PluginOutputs[Type]>>
  <T>(options: RunPluginOptions & { readonly type: PluginTypeOf<T> }): Promise<RunPluginResult<T>>
}

export type RunPluginResult<T> =
  | { readonly ok: true; readonly data: T }
  | {
      readonly ok: false
      /** What happened and what to do, for a person. */
      readonly error: string
      readonly code: PluginErrorCode
      /** The typed error, with what `error` leaves out: the plugin's stack, the place in its source, times. */
      readonly cause: PluginError
    }

export interface PluginHostOptions extends WorkerOptions {
  /** Default 3. */
  readonly failureThreshold?: number
  /** Default 60,000. */
  readonly cooldownMs?: number
}

/** Runs plugins until it is closed. */
export interface PluginHost {
  readonly runPlugin: RunPlugin
  readonly circuitBreaker: {
    readonly state: (pluginName: string) => Promise<BreakerState>
    readonly trip: (pluginName: string) => Promise<void>
    readonly reset: (pluginName: string) => Promise<void>
  }
  /** Ends every isolate; runs in flight reject, later ones too. */
  readonly close: () => Promise<void>
}

const kinds = { linkifier, extractor }

/** Options that make no spec: nothing can be loaded with them. Whatever they are. */
const unusable = (options: unknown, error: unknown): LoadError => {
  const { pluginName, modulePath } = fieldsOf(options)
  const path = String(modulePath)
  const reason = error instanceof Error ? error.message : String(error)
  return new LoadError({
    plugin: typeof pluginName === "string" ? pluginName : path,
    modulePath: path,
    reason
  })
}

/** The fields of what may not be the object that it should be. */
const fieldsOf = (options: unknown): { readonly [name: string]: unknown } => {
  try {
    return { ...Object(options) }
  } catch {
    // A getter throws: nothing is known of it.
    return {}
  }
}

/** Names of modules without one, each for one path. */
const makeNames = (): ((modulePath: string) => string) => {
  const named = new Map<string, string>()
  const taken = new Map<string, string>()
  return (modulePath) => {
    const known = named.get(modulePath)
    if (known !== undefined) return known
    const { dir, name } = path.parse(modulePath)
    const parts = [...dir.split(path.sep).filter((part) => part !== ""), name]
    const shorter = parts.map((_, index) => parts.slice(-1 - index).join("/"))
    const found = shorter.find((candidate) => !taken.has(candidate)) ?? modulePath
    named.set(modulePath, found)
    taken.set(found, modulePath)
    return found
  }
}

/** How many specs a host remembers; over it the oldest are made anew. */
const maxSpecs = 1_000

/** The names of a spec's settings here, if they differ. */
const names: { readonly [path: string]: string } = {
  name: "pluginName",
  config: "input.config",
  timeout: "timeoutMs",
  grace: "graceMs",
  "breaker.cooldown": "breaker.cooldownMs"
}

const known: ReadonlyArray<string> = [
  "type",
  "modulePath",
  "input",
  "pluginName",
  ...Object.keys(defaultSettings).flatMap((key) => (key === "config" ? [] : [names[key] ?? key])),
  ...Object.keys(optionalSettings)
]

/** The problems of keys whose names here differ from those of a spec; `specProblems` reports the others. */
const keyProblems = (options: RunPluginOptions): ReadonlyArray<string> => {
  const unknown = (given: unknown, known: ReadonlyArray<string>, prefix: string): ReadonlyArray<string> =>
    Object.keys(Object(given)).flatMap((key) =>
      known.includes(key) ? [] : [`${prefix}${key}: ${unknownKey(key, known)}`]
    )
  return [
    ...unknown(options, known, ""),
    ...unknown(options.breaker, ["failureThreshold", "cooldownMs"], "breaker.")
  ]
}

/** The settings of a spec among the options, without unknown ones. */
const settingsIn = (options: object): PluginSettingsOptions =>
  Object.fromEntries(Object.entries(options).filter(([key]) => known.includes(key)))

/** A caller in JavaScript may give anything. */
const millis = (name: string, value: unknown): Duration.Duration | undefined => {
  if (value === undefined) return undefined
  if (typeof value === "number") return Duration.millis(value)
  throw new TypeError(`${name}: expected a number of milliseconds, got ${shown(value)}`)
}

const specOf = (
  options: RunPluginOptions,
  nameOf: (modulePath: string) => string
): PluginSpec<typeof linkifier | typeof extractor> => {
  const { type, modulePath: given, input, pluginName, timeoutMs, graceMs, breaker, ...settings } = options
  const { failureThreshold, cooldownMs } = breaker ?? {}
  if (!Object.hasOwn(kinds, type)) {
    throw new TypeError(`its type must be "linkifier" or "extractor", not ${JSON.stringify(type)}`)
  }
  if (typeof given !== "string") {
    throw new TypeError(
      `modulePath must be the path or file: URL of the plugin's module, not ${shown(given)}`
    )
  }
  const modulePath = given.startsWith("file:") ? fileURLToPath(given) : path.resolve(given)
  const spec = makeSpec({
    ...settingsIn(settings),
    name: pluginName ?? nameOf(modulePath),
    kind: kinds[type],
    modulePath,
    config: input?.config,
    timeout: millis("timeoutMs", timeoutMs),
    grace: millis("graceMs", graceMs),
    breaker: { failureThreshold, cooldown: millis("breaker.cooldownMs", cooldownMs) }
  })
  const problems = [
    ...keyProblems(options),
    ...specProblems(spec).map(({ path, problem }) => `${names[path] ?? path}: ${problem}`)
  ]
  if (problems.length > 0) throw new TypeError(problems.join("; "))
  return spec
}

/** A problem in the words of this face: what the spec calls `timeout` is `timeoutMs` here. */
const messageOf = (error: PluginError): string =>
  error._tag === "TIMEOUT"
    ? error.message.replace('raise its "timeout"', 'raise its "timeoutMs"')
    : error.message

/**
 * Makes a host of its own, with its own isolates and breakers.
 *
 * @example
 * ```ts
 * const host = createPluginHost({ failureThreshold: 5 })
 * const result = await host.runPlugin({ type: "linkifier", modulePath, input: { message } })
 * await host.close()
 * ```
 */
export const createPluginHost = (options: PluginHostOptions = {}): PluginHost => {
  const { failureThreshold, cooldownMs, ...workers } = options
  const runtime = ManagedRuntime.make(
    PluginRuntime.layer.pipe(
      Layer.provideMerge(
        CircuitBreaker.layer({
          ...(failureThreshold === undefined ? {} : { failureThreshold }),
          ...(cooldownMs === undefined ? {} : { cooldown: Duration.millis(cooldownMs) })
        })
      ),
      Layer.provide(WorkerLayer.layer(workers)),
      Layer.provide(ResultCache.layerMemory())
    )
  )
  // The same plugin with the same options keeps its warm isolates.
  const specs = new Map<string, PluginSpec<typeof linkifier | typeof extractor>>()
  const nameOf = makeNames()
  const remember = (given: RunPluginOptions): PluginSpec<typeof linkifier | typeof extractor> => {
    const { input, ...rest } = given
    const key = JSON.stringify([rest, input?.config])
    const known = specs.get(key)
    if (known !== undefined) return known
    const spec = specOf(given, nameOf)
    const oldest = specs.size >= maxSpecs ? specs.keys().next().value : undefined
    if (oldest !== undefined) specs.delete(oldest)
    specs.set(key, spec)
    return spec
  }

  return {
    runPlugin: <T>(given: RunPluginOptions): Promise<RunPluginResult<T>> =>
      runtime.runPromise(
        Effect.try({ try: () => remember(given), catch: (error) => unusable(given, error) }).pipe(
          Effect.flatMap((spec) =>
            Effect.flatMap(PluginRuntime, (plugins) => plugins.run(spec, { message: given.input?.message }))
          ),
          Effect.match({
            // The output has been decoded with its kind's schema; `T` is how the caller spells that type.
            onSuccess: (data): RunPluginResult<T> => ({ ok: true, data: data as T }),
            onFailure: (error): RunPluginResult<T> => ({
              ok: false,
              error: messageOf(error),
              code: error._tag,
              cause: error
            })
          })
        )
      ),
    circuitBreaker: {
      state: (name) => runtime.runPromise(Effect.flatMap(CircuitBreaker, (breaker) => breaker.state(name))),
      trip: (name) => runtime.runPromise(Effect.flatMap(CircuitBreaker, (breaker) => breaker.trip(name))),
      reset: (name) => runtime.runPromise(Effect.flatMap(CircuitBreaker, (breaker) => breaker.reset(name)))
    },
    close: () => runtime.dispose()
  }
}

// The guide's functions belong to no object, so one host is made for them at the first use.
let shared: PluginHost | undefined
const host = (): PluginHost => (shared ??= createPluginHost())

/**
 * Runs a plugin with a timeout, a circuit breaker and validated output. Never rejects for what a plugin does, or
 * for options that make no sense: those are a `LOAD_ERROR`.
 *
 * @example
 * ```ts
 * const result = await runPlugin({ type: "linkifier", modulePath: "./urls.ts", input: { message, config: {} } })
 * if (!result.ok) console.error(result.code, result.error)
 * ```
 */
export const runPlugin: RunPlugin = <T>(options: RunPluginOptions & { readonly type: PluginTypeOf<T> }) =>
  host().runPlugin<T>(options)

/** The shared host's circuit breaker. */
export const circuitBreaker: PluginHost["circuitBreaker"] = {
  state: (name) => host().circuitBreaker.state(name),
  trip: (name) => host().circuitBreaker.trip(name),
  reset: (name) => host().circuitBreaker.reset(name)
}

/** Ends the shared host's isolates; the next `runPlugin` starts anew. */
export const close = async (): Promise<void> => {
  const closing = shared
  shared = undefined
  await closing?.close()
}
