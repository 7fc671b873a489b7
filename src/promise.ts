/** The runtime for hubs without Effect: takes options and returns promises. It uses the same Layers and rules. */
import { Duration, Effect, Layer, ManagedRuntime } from "effect"
import { type BreakerState, CircuitBreaker } from "./CircuitBreaker.ts"
import { LoadError, type PluginError, type PluginErrorCode } from "./Errors.ts"
import type { Attachment, Enrichment } from "./PluginKinds.ts"
import { type PrepareError, unprepared } from "./PrepareError.ts"
import { makeRunSpecs, type RunPluginOptions } from "./promise/runSpec.ts"
import { ResultCache } from "./ResultCache.ts"
import { PluginRuntime } from "./Runtime.ts"
import { type WorkerOptions, WorkerLayer } from "./WorkerLayer.ts"

export type { RunPluginOptions } from "./promise/runSpec.ts"

/** What plugins of each type return. */
export interface PluginOutputs {
  readonly linkifier: ReadonlyArray<Enrichment>
  readonly extractor: ReadonlyArray<Attachment>
}

/** The type of plugin that returns `T`; both, if `T` does not name its items. */
export type PluginTypeOf<T> =
  T extends ReadonlyArray<infer Item>
    ? Item extends { readonly span: unknown }
      ? "linkifier"
      : Item extends { readonly value_json: unknown }
        ? "extractor"
        : keyof PluginOutputs
    : keyof PluginOutputs

/** The result's type follows from `type`. A type argument must be one that such a plugin can return. */
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
      /** For a person: what happened and what to do. */
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
  /** Ends every isolate. Runs in progress and later ones reject. */
  readonly close: () => Promise<void>
}

/** The error of options that make no spec. Options may be anything: even a getter that throws. */
const unusable = (options: unknown, { message }: PrepareError): LoadError => {
  const { pluginName, modulePath } = fieldsOf(options)
  const path = String(modulePath)
  return new LoadError({
    plugin: typeof pluginName === "string" ? pluginName : path,
    modulePath: path,
    reason: message
  })
}

const fieldsOf = (options: unknown): { readonly [name: string]: unknown } => {
  try {
    return { ...Object(options) }
  } catch {
    // A getter throws: the fields cannot be known.
    return {}
  }
}

/** An error with the names of the options here: a spec's `timeout` is `timeoutMs`. */
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
  const specOf = makeRunSpecs()

  return {
    runPlugin: <T>(given: RunPluginOptions): Promise<RunPluginResult<T>> =>
      runtime.runPromise(
        Effect.try({
          try: () => specOf(given),
          catch: (error) => unprepared(error instanceof Error ? error.message : String(error))
        }).pipe(
          Effect.flatMap(Effect.fromResult),
          Effect.mapError((error) => unusable(given, error)),
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

// The functions below share one host, which is made at the first use.
let shared: PluginHost | undefined
const host = (): PluginHost => (shared ??= createPluginHost())

/**
 * Runs a plugin with a timeout, a circuit breaker and validated output. Never rejects because of a plugin or of invalid
 * options: those are a `LOAD_ERROR`.
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
