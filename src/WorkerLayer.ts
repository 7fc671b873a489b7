/**
 * Where plugin code runs: a service that gives a guest for a spec inside a Scope. Levels are Layers, and so
 * are the fakes of a test.
 */
import { Context, Duration, Effect, Exit, Layer, type Scope } from "effect"
import * as path from "node:path"
import { resolveGrants, type ResolvedGrants } from "./Capabilities.ts"
import { InvalidOutput, LoadError, type PluginError, UnsupportedRuntime } from "./Errors.ts"
import type { PluginInfo } from "./guest/protocol.ts"
import { Request } from "./guest/protocol.ts"
import { runPlugin } from "./isolation/exchange.ts"
import { Isolate } from "./isolation/Isolate.ts"
import { makeMemoryWatch } from "./isolation/MemoryWatch.ts"
import { ModuleLoader } from "./isolation/ModuleLoader.ts"
import { makePool, type Pool, type PoolOptions, type Warm } from "./isolation/Pool.ts"
import { startThread } from "./isolation/thread.ts"
import type { Death } from "./isolation/Transport.ts"
import type { PluginSpec } from "./Plugin.ts"

/** A plugin, loaded and ready for one run. */
export interface Guest {
  readonly info: PluginInfo
  /**
   * Calls the plugin's method with the input's JSON; answers the output's JSON, not yet validated.
   * Interruption ends the isolate, and returns once it is gone or cannot be waited for any longer.
   */
  readonly run: (input: string) => Effect.Effect<string, PluginError>
}

/** How many isolates there are. */
export interface WorkerStats {
  readonly isolates: number
  readonly zombies: number
}

export interface ThreadOptions {
  /** Booted isolates kept ready for plugins. Default 2. */
  readonly spares?: number
  /** A warm isolate that nobody has used for so long is ended. Default 5 minutes. */
  readonly idleTimeToLive?: Duration.Input
  /** A warm isolate is replaced after so many runs. Default 100,000. */
  readonly maxRuns?: number
  /** A warm isolate is replaced at this age. Default 1 hour. */
  readonly maxAge?: Duration.Input
  /** A plugin that has left so many threads unkillable is refused. Default 3. */
  readonly maxZombies?: number
  /** Relative paths in grants are taken from here. Default: the host's working directory. */
  readonly grantsBase?: string
  /**
   * Run where threads have no permissions of their own (Bun), with nothing held back but hangs and crashes.
   * Say it only of plugins you wrote yourself. Default `false`.
   */
  readonly trusted?: boolean
}

/** What a fake plugin does: `input` is what the real one would be called with. */
export type FakePlugin = (input: unknown) => Effect.Effect<unknown, PluginError>

/** Gives guests; see the static members for its Layers. */
export class WorkerLayer extends Context.Service<
  WorkerLayer,
  {
    /** A guest for one run of the spec's plugin, loaded; the isolate goes back to its pool with the scope. */
    readonly guest: (spec: PluginSpec) => Effect.Effect<Guest, PluginError, Scope.Scope>
    readonly stats: Effect.Effect<WorkerStats>
    /** How many isolates of a plugin were to die and did not, since the Layer was built. */
    readonly zombies: (plugin: string) => number
  }
>()("@agentlip/plugin-runtime/WorkerLayer") {
  /**
   * Worker threads with permissions of their own; see docs/security.md for what they hold against.
   *
   * @example
   * ```ts
   * PluginRuntime.layer.pipe(Layer.provide(WorkerLayer.layerThread({ spares: 4 })))
   * ```
   */
  static readonly layerThread = (options: ThreadOptions = {}): Layer.Layer<WorkerLayer, UnsupportedRuntime> =>
    Layer.effect(
      WorkerLayer,
      Effect.suspend(() => makeThread(options))
    ).pipe(Layer.provide(ModuleLoader.layer))

  /** Chooses the level by each spec's `isolation`. */
  static readonly layer = (options: ThreadOptions = {}): Layer.Layer<WorkerLayer, UnsupportedRuntime> =>
    WorkerLayer.layerThread(options)

  /**
   * Fakes for tests, by plugin name: no thread, the same rules for outputs.
   *
   * @example
   * ```ts
   * WorkerLayer.layerTest({ urls: () => Effect.succeed([{ kind: "url", span: { start: 0, end: 3 }, data: {} }]) })
   * ```
   */
  static readonly layerTest = (plugins: { readonly [name: string]: FakePlugin }): Layer.Layer<WorkerLayer> =>
    Layer.succeed(WorkerLayer, makeTest(plugins))
}

/** The runtime's name, if threads have no permissions of their own on it. */
const permissionlessRuntime = (): string | undefined => {
  if (process.versions.bun !== undefined) return `Bun ${process.versions.bun}`
  const major = Number.parseInt(process.versions.node, 10)
  return major < 24 ? `Node ${process.versions.node}` : undefined
}

/** A thread that has not said hello by then never will. */
const bootTimeout = "10 seconds"

const bootThread = (grants: ResolvedGrants, confined: boolean): Effect.Effect<Isolate, Death> =>
  Effect.try({
    try: () => new Isolate(startThread(grants, confined)),
    catch: (error): Death => ({ reason: `its thread could not be started (${String(error)})` })
  }).pipe(
    Effect.tap((isolate) =>
      isolate.booted.pipe(
        Effect.timeoutOrElse({
          duration: bootTimeout,
          orElse: () => Effect.fail<Death>({ reason: `its thread did not boot within ${bootTimeout}` })
        }),
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : isolate.kill))
      )
    )
  )

const makeThread = (options: ThreadOptions) =>
  Effect.gen(function* () {
    const runtime = permissionlessRuntime()
    if (runtime !== undefined && options.trusted !== true) {
      return yield* new UnsupportedRuntime({ runtime, level: "thread" })
    }
    const confined = runtime === undefined
    const loader = yield* ModuleLoader
    const memory = yield* makeMemoryWatch
    const poolOptions: PoolOptions = {
      spares: options.spares ?? 2,
      idleTimeToLive: Duration.fromInputUnsafe(options.idleTimeToLive ?? "5 minutes"),
      maxRuns: options.maxRuns ?? 100_000,
      maxAge: Duration.fromInputUnsafe(options.maxAge ?? "1 hour"),
      maxZombies: options.maxZombies ?? 3
    }
    const pool = yield* makePool(
      poolOptions,
      (grants) => bootThread(grants, confined),
      confined ? loader : undefined,
      confined ? memory : undefined
    )
    const base = options.grantsBase ?? process.cwd()

    // Asked once a spec: what a grant's path stood for when the plugin was first run is what it stands for.
    const resolved = new WeakMap<PluginSpec, ResolvedGrants>()
    const grantsOf = (spec: PluginSpec): Effect.Effect<ResolvedGrants, string> =>
      Effect.suspend(() => {
        const known = resolved.get(spec)
        if (known !== undefined) return Effect.succeed(known)
        return Effect.tap(resolveGrants(spec.isolation, spec.grants, base), (grants) =>
          Effect.sync(() => resolved.set(spec, grants))
        )
      })

    return WorkerLayer.of({
      stats: pool.stats,
      zombies: pool.zombies,
      guest: (spec) =>
        Effect.gen(function* () {
          const grants = yield* Effect.mapError(
            grantsOf(spec),
            (reason) => new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason })
          )
          const warm = yield* pool.lease(spec, path.resolve(spec.modulePath), grants)
          return makeGuest(spec, warm, pool)
        })
    })
  })

const makeGuest = (spec: PluginSpec, warm: Warm, pool: Pool): Guest => {
  const { isolate } = warm
  /** Abort signal, grace, kill; the isolate is spent whatever becomes of it. */
  const stop = Effect.gen(function* () {
    warm.spent = true
    if (Duration.toMillis(spec.grace) > 0 && !isolate.lingers) {
      yield* Effect.timeoutOption(isolate.abort(Request.abort), spec.grace)
    }
    const gone = yield* isolate.kill
    if (!gone) yield* pool.noteZombie(spec)
  })
  return {
    info: warm.info,
    run: (input) =>
      runPlugin(isolate, spec, input, () => {
        warm.spent = true
      }).pipe(Effect.onInterrupt(() => stop))
  }
}

const makeTest = (plugins: { readonly [name: string]: FakePlugin }): WorkerLayer["Service"] => ({
  stats: Effect.succeed({ isolates: 0, zombies: 0 }),
  zombies: () => 0,
  guest: (spec) => {
    const plugin = plugins[spec.name]
    if (plugin === undefined) {
      const known = Object.keys(plugins).map((name) => `"${name}"`)
      return Effect.fail(
        new LoadError({
          plugin: spec.name,
          modulePath: spec.modulePath,
          reason: `layerTest has no plugin of that name; it has ${known.join(", ") || "none"}`
        })
      )
    }
    return Effect.succeed({
      info: { name: spec.name, version: "test" },
      run: (input) =>
        Effect.suspend(() => plugin({ ...JSON.parse(input), config: spec.config })).pipe(
          Effect.flatMap((output) =>
            Effect.try({
              try: () => JSON.stringify(output) ?? "undefined",
              catch: (error) =>
                new InvalidOutput({
                  plugin: spec.name,
                  issue: `expected a value that can be written as JSON, got one that cannot (${String(error)})`
                })
            })
          )
        )
    })
  }
})
