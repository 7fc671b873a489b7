/**
 * Where plugin code runs: a service that gives a guest for a spec inside a Scope. Levels are Layers, and so
 * are the fakes of a test.
 */
import { Context, Duration, Effect, Layer, type Scope } from "effect"
import * as path from "node:path"
import {
  type Grants,
  type IsolationLevel,
  requestsProblem,
  resolveGrants,
  type ResolvedGrants
} from "./Capabilities.ts"
import { thisHost } from "./capabilities/matrix.ts"
import { InvalidOutput, LoadError, type PluginError, UnsupportedRuntime } from "./Errors.ts"
import type { PluginInfo } from "./guest/protocol.ts"
import { Request } from "./guest/protocol.ts"
import { makeAudits } from "./isolation/Audits.ts"
import { runPlugin, type Subject } from "./isolation/exchange.ts"
import type { Level } from "./isolation/Level.ts"
import { processLevel, threadLevel, wasmLevel } from "./isolation/levels.ts"
import { ModuleLoader } from "./isolation/ModuleLoader.ts"
import { makePool, type Pool, type PoolOptions, type Warm } from "./isolation/Pool.ts"
import { findProcessHost } from "./isolation/ProcessHost.ts"
import { makeUsageWatch } from "./isolation/UsageWatch.ts"
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

/** How isolates are kept, on every level. */
export interface WorkerOptions {
  /** Booted isolates kept ready for plugins, on each level that is in use. Default 2. */
  readonly spares?: number
  /**
   * Levels whose spares are booted with the Layer; the others boot theirs with their first run. Default: the level
   * of a Layer that has one, else `["thread"]`.
   */
  readonly prepare?: ReadonlyArray<IsolationLevel>
  /** A warm isolate that nobody has used for so long is ended. Default 5 minutes. */
  readonly idleTimeToLive?: Duration.Input
  /** A warm isolate is replaced after so many runs. Default 100,000. */
  readonly maxRuns?: number
  /** A warm isolate is replaced at this age. Default 1 hour. */
  readonly maxAge?: Duration.Input
  /** A plugin that has left so many isolates unkillable is refused. Default 3. */
  readonly maxZombies?: number
  /** Relative paths in grants are taken from here. Default: the host's working directory. */
  readonly grantsBase?: string
  /**
   * Run threads where they have no permissions of their own (Bun), with nothing held back but hangs and crashes.
   * Say it only of plugins you wrote yourself. Default `false`.
   */
  readonly trusted?: boolean
  /** The Node that processes run on. Default: the host's own; on Bun, the first `node` on the PATH. */
  readonly node?: string
  /**
   * Whom processes run as. Default: where the host is root, user and group 65534 (nobody), if they can read
   * the library; elsewhere the host's user, the only one there can be.
   */
  readonly user?: "host" | { readonly uid: number; readonly gid: number }
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
    /** How many isolates of a plugin were to die and have not. */
    readonly zombies: (plugin: string) => number
    /** By plugin: what those in audit mode have used without a grant, as the grants they would need. */
    readonly audits: Effect.Effect<ReadonlyMap<string, Grants>>
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
  static readonly layerThread = (options: WorkerOptions = {}): Layer.Layer<WorkerLayer, UnsupportedRuntime> =>
    layerOf(options, ["thread"])

  /** Processes of their own for plugins, with limits of the operating system. */
  static readonly layerProcess = (
    options: WorkerOptions = {}
  ): Layer.Layer<WorkerLayer, UnsupportedRuntime> => layerOf(options, ["process"])

  /** QuickJS in WebAssembly: nothing of Node for a plugin to reach, and no run finds what another has left. */
  static readonly layerWasm = (options: WorkerOptions = {}): Layer.Layer<WorkerLayer, UnsupportedRuntime> =>
    layerOf(options, ["wasm"])

  /** Chooses the level by each spec's `isolation`. */
  static readonly layer = (options: WorkerOptions = {}): Layer.Layer<WorkerLayer, UnsupportedRuntime> =>
    layerOf(options, ["thread", "process", "wasm"])

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

const layerOf = (
  options: WorkerOptions,
  levels: ReadonlyArray<IsolationLevel>
): Layer.Layer<WorkerLayer, UnsupportedRuntime> =>
  Layer.effect(
    WorkerLayer,
    Effect.suspend(() => makeWorkers(options, levels))
  ).pipe(Layer.provide(ModuleLoader.layer))

/** The runtime's name, if threads have no permissions of their own on it. */
const permissionlessRuntime = (): string | undefined => {
  const { bun, node } = process.versions
  if (thisHost.runtime === "node") return undefined
  return bun === undefined ? `Node ${node}` : `Bun ${bun}`
}

/** A level that can run plugins here, or why it cannot. */
type Found = Level | { readonly problem: string }

const findLevel = (name: IsolationLevel, options: WorkerOptions): Effect.Effect<Found> => {
  const runtime = permissionlessRuntime()
  switch (name) {
    case "thread":
      return Effect.succeed(
        runtime !== undefined && options.trusted !== true
          ? {
              problem: `isolation "thread" confines nothing on ${runtime}; use isolation "process", or say \`trusted: true\` of plugins you wrote yourself`
            }
          : threadLevel(runtime === undefined)
      )
    case "process":
      return findProcessHost(options).pipe(
        Effect.flatMap(processLevel),
        Effect.catch((problem) => Effect.succeed({ problem }))
      )
    case "wasm":
      return Effect.succeed(wasmLevel(runtime === undefined))
  }
}

const makeWorkers = (options: WorkerOptions, wanted: ReadonlyArray<IsolationLevel>) =>
  Effect.gen(function* () {
    const runtime = permissionlessRuntime()
    const loader = yield* ModuleLoader
    const watch = yield* makeUsageWatch
    const poolOptions: PoolOptions = {
      spares: options.spares ?? 2,
      idleTimeToLive: Duration.fromInputUnsafe(options.idleTimeToLive ?? "5 minutes"),
      maxRuns: options.maxRuns ?? 100_000,
      maxAge: Duration.fromInputUnsafe(options.maxAge ?? "1 hour"),
      maxZombies: options.maxZombies ?? 3
    }
    const pools = new Map<IsolationLevel, Pool>()
    const problems = new Map<IsolationLevel, string>()
    for (const name of wanted) {
      const level = yield* findLevel(name, options)
      if ("problem" in level) {
        problems.set(name, level.problem)
        continue
      }
      // A thread on a runtime without module hooks reads its modules itself, and its usage cannot be asked.
      const bare = name === "thread" && runtime !== undefined
      pools.set(
        name,
        yield* makePool(poolOptions, level, bare ? undefined : loader, bare ? undefined : watch)
      )
    }
    if (pools.size === 0) {
      return yield* new UnsupportedRuntime({
        runtime: runtime ?? `Node ${process.versions.node}`,
        level: wanted.join(", "),
        reason: [...problems.values()].join("; ")
      })
    }
    for (const name of options.prepare ?? (wanted.length === 1 ? wanted : (["thread"] as const)))
      yield* pools.get(name)?.prepare ?? Effect.void

    const base = options.grantsBase ?? process.cwd()
    // Asked once a spec: what a grant's path stood for when the plugin was first run is what it stands for.
    const resolved = new WeakMap<PluginSpec, ResolvedGrants>()
    const grantsOf = (spec: PluginSpec): Effect.Effect<ResolvedGrants, string> =>
      Effect.suspend(() => {
        const known = resolved.get(spec)
        if (known !== undefined) return Effect.succeed(known)
        const problem = requestsProblem(spec)
        if (problem !== undefined) return Effect.fail(problem)
        return Effect.tap(resolveGrants(spec.isolation, spec.grants, base), (grants) =>
          Effect.sync(() => resolved.set(spec, grants))
        )
      })

    const audits = makeAudits()

    return WorkerLayer.of({
      stats: Effect.map(
        Effect.forEach([...pools.values()], (pool) => pool.stats),
        (all) => ({
          isolates: all.reduce((sum, { isolates }) => sum + isolates, 0),
          zombies: all.reduce((sum, { zombies }) => sum + zombies, 0)
        })
      ),
      zombies: (plugin) => [...pools.values()].reduce((sum, pool) => sum + pool.zombies.count(plugin), 0),
      audits: Effect.sync(audits.all),
      guest: (spec) =>
        Effect.gen(function* () {
          const refused = (reason: string): LoadError =>
            new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason })
          const pool = pools.get(spec.isolation)
          if (pool === undefined) {
            return yield* refused(
              problems.get(spec.isolation) ??
                `isolation "${spec.isolation}" is not among the levels of this WorkerLayer (${wanted.join(", ")})`
            )
          }
          const grants = yield* Effect.mapError(grantsOf(spec), refused)
          const subject: Subject = { spec, grants, base, audit: audits.of(spec.name) }
          const warm = yield* pool.lease(subject, path.resolve(spec.modulePath))
          return makeGuest(subject, warm, pool)
        })
    })
  })

const makeGuest = (subject: Subject, warm: Warm, pool: Pool): Guest => {
  const { isolate } = warm
  const { spec } = subject
  /** Abort signal, grace, kill; the isolate is spent whatever becomes of it. */
  const stop = Effect.gen(function* () {
    warm.spent = true
    if (Duration.toMillis(spec.grace) > 0 && !isolate.doomed) {
      yield* Effect.timeoutOption(isolate.abort(Request.abort), spec.grace)
    }
    const gone = yield* isolate.kill
    if (!gone) yield* pool.zombies.note(spec.name, isolate)
  })
  return {
    info: warm.info,
    run: (input) =>
      runPlugin(isolate, subject, input, () => {
        warm.spent = true
      }).pipe(Effect.onInterrupt(() => stop))
  }
}

const makeTest = (plugins: { readonly [name: string]: FakePlugin }): WorkerLayer["Service"] => ({
  stats: Effect.succeed({ isolates: 0, zombies: 0 }),
  zombies: () => 0,
  audits: Effect.succeed(new Map()),
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
