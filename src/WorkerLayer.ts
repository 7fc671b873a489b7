/** Where plugin code runs. Each isolation level is a Layer, and so are the fakes of a test. */
import { Context, Duration, Effect, Layer, Result } from "effect"
import * as os from "node:os"
import type { IsolationLevel } from "./Capabilities.ts"
import { checkEngine, toInstall } from "./capabilities/engines.ts"
import { thisHost } from "./capabilities/matrix.ts"
import { LoadError, UnsupportedRuntime } from "./Errors.ts"
import { makeAudits } from "./isolates/Audits.ts"
import { checkBootFiles } from "./isolates/guestFiles.ts"
import { type FakePlugin, makeFakes } from "./isolates/fakes.ts"
import type { IsolateFactory } from "./isolates/levels/IsolateFactory.ts"
import { processFactory, threadFactory, wasmFactory } from "./isolates/levels/isolateFactories.ts"
import { makePools, type PoolOptions, type Pools } from "./isolates/pool/Pools.ts"
import { ModuleLoader } from "./modules/ModuleLoader.ts"
import { findProcessHost } from "./isolates/levels/process/ProcessHost.ts"
import { makeUsageWatch } from "./isolates/watch/UsageWatch.ts"
import { WarmMemory } from "./isolates/pool/WarmMemory.ts"
import { unavailable, type Workers } from "./isolates/Workers.ts"
import { metricsLayer, PluginMetrics } from "./Metrics.ts"
import { type PrepareError, unprepared } from "./PrepareError.ts"

export type { FakePlugin } from "./isolates/fakes.ts"
export type { PoolStats, PreparedPlugin, Submission, Workers, WorkerStats } from "./isolates/Workers.ts"

/** How isolates are kept, on every level. */
export interface WorkerOptions {
  /** Booted isolates kept ready for plugins, on each level that is in use. Default 2. */
  readonly spares?: number
  /** As many are kept ready while plugins that run fresh find none. Default two a core; none if `spares` is 0. */
  readonly maxSpares?: number
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
  /**
   * MiB that the warm isolates of all plugins may take together, as estimated by level; those that were not used for
   * longest are ended first. Those that are busy count, and are left alone. Default: a quarter of the machine's memory.
   */
  readonly warmMemory?: number
  /** A plugin that has left so many isolates unkillable is refused. Default 3. */
  readonly maxZombies?: number
  /**
   * A plugin whose changed files do not load goes on as it was, until they change again; `outdated` tells. Without it
   * its runs fail with `LOAD_ERROR`. Default `false`.
   */
  readonly keepLastGood?: boolean
  /** Relative paths in grants are taken from here. Default: the host's working directory. */
  readonly grantsBase?: string
  /**
   * Run threads where they have no permissions of their own (Bun), with nothing held back but hangs and crashes.
   * Say it only of plugins you wrote yourself. Default `false`.
   */
  readonly trusted?: boolean
  /**
   * Threads can be debugged by way of the host's own inspector (`node:inspector`), and boot when whoever debugs them
   * lets them. For a plugin's author at work, not for a hub: Node takes an inspector for a way around permissions.
   * Default `false`.
   */
  readonly inspectable?: boolean
  /** The Node that processes run on. Default: the host's own; on Bun, the first `node` on the PATH. */
  readonly node?: string
  /**
   * Whom processes run as. Default: where the host is root, user and group 65534 (nobody), if they can read
   * the library; elsewhere the host's user, the only one there can be.
   */
  readonly user?: "host" | { readonly uid: number; readonly gid: number }
}

/** Runs plugins in isolates; see the static members for its Layers. */
export class WorkerLayer extends Context.Service<WorkerLayer, Workers>()(
  "@agentlip/plugin-runtime/WorkerLayer"
) {
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
    Layer.succeed(WorkerLayer, makeFakes(plugins))
}

const layerOf = (
  options: WorkerOptions,
  levels: ReadonlyArray<IsolationLevel>
): Layer.Layer<WorkerLayer, UnsupportedRuntime> =>
  Layer.effect(
    WorkerLayer,
    Effect.suspend(() => makeWorkers(options, levels))
  ).pipe(Layer.provide([ModuleLoader.layer, metricsLayer]))

/** This runtime's name. */
const runtimeName =
  process.versions.bun === undefined ? `Node ${process.versions.node}` : `Bun ${process.versions.bun}`

/** The runtime's name, if threads have no permissions of their own on it. */
const permissionlessRuntime = (): string | undefined =>
  thisHost.runtime === "node" ? undefined : runtimeName

/** Why threads cannot hold plugins on this runtime. */
const untrustedThreads = (runtime: string): PrepareError => {
  const isBun = process.versions.bun !== undefined
  const checked = isBun ? Result.void : checkEngine("thread", process.versions.node)
  const { reason, remedy } = Result.isFailure(checked)
    ? checked.failure
    : unprepared(`isolation "thread" confines nothing on ${runtime}`, `run the hub on ${toInstall()}`)
  return unprepared(
    reason,
    `${remedy}, use isolation "process", or set \`trusted: true\` if you wrote all plugins yourself`
  )
}

/** The factory of a level. Fails if the level cannot run plugins here. */
const findLevel = (
  name: IsolationLevel,
  options: WorkerOptions
): Effect.Effect<IsolateFactory, PrepareError> =>
  Effect.gen(function* () {
    const runtime = permissionlessRuntime()
    if (runtime === undefined || name === "process") yield* checkBootFiles
    switch (name) {
      case "thread":
        return runtime !== undefined && options.trusted !== true
          ? yield* untrustedThreads(runtime)
          : threadFactory(runtime === undefined, options.inspectable)
      case "process":
        return yield* processFactory(yield* findProcessHost(options))
      case "wasm":
        return wasmFactory(runtime === undefined)
    }
  })

const makeWorkers = (options: WorkerOptions, wanted: ReadonlyArray<IsolationLevel>) =>
  Effect.gen(function* () {
    const runtime = permissionlessRuntime()
    const loader = yield* ModuleLoader
    const watch = yield* makeUsageWatch
    const metrics = yield* PluginMetrics
    const spares = options.spares ?? 2
    const poolOptions: PoolOptions = {
      spares,
      maxSpares: options.maxSpares ?? (spares === 0 ? 0 : Math.max(spares, 2 * os.availableParallelism())),
      idleTimeToLive: Duration.fromInputUnsafe(options.idleTimeToLive ?? "5 minutes"),
      maxRuns: options.maxRuns ?? 100_000,
      maxAge: Duration.fromInputUnsafe(options.maxAge ?? "1 hour"),
      maxZombies: options.maxZombies ?? 3,
      keepLastGood: options.keepLastGood ?? false,
      grantsBase: options.grantsBase ?? process.cwd()
    }
    const audits = makeAudits()
    const memory = new WarmMemory(options.warmMemory ?? os.totalmem() / 4 / 2 ** 20)
    const pools = new Map<IsolationLevel, Pools>()
    const problems = new Map<IsolationLevel, string>()
    for (const name of wanted) {
      const found = yield* Effect.result(findLevel(name, options))
      if (Result.isFailure(found)) {
        problems.set(name, found.failure.message)
        continue
      }
      // A thread on a runtime without module hooks reads its modules itself, and its usage cannot be asked.
      const bare = name === "thread" && runtime !== undefined
      pools.set(
        name,
        yield* makePools({
          options: poolOptions,
          level: found.success,
          memory,
          metrics,
          audit: audits.of,
          loader: bare ? undefined : loader,
          watch: bare ? undefined : watch
        })
      )
    }
    if (pools.size === 0) {
      return yield* new UnsupportedRuntime({
        runtime: runtimeName,
        level: wanted.join(", "),
        reason: [...problems.values()].join("; ")
      })
    }
    const prepared = options.prepare ?? (wanted.length === 1 ? wanted : (["thread"] as const))
    // A hub without plugins needs no thread that loads them.
    if (prepared.length > 0) yield* Effect.forkScoped(loader.start)
    for (const name of prepared) yield* pools.get(name)?.bootSpares ?? Effect.void

    return WorkerLayer.of({
      prepare: (spec) =>
        pools.get(spec.isolation)?.prepare(spec) ??
        unavailable(
          new LoadError({
            plugin: spec.name,
            modulePath: spec.modulePath,
            reason:
              problems.get(spec.isolation) ??
              `isolation "${spec.isolation}" is not among the levels of this WorkerLayer (${wanted.join(", ")})`
          })
        ),
      stats: Effect.map(
        Effect.forEach([...pools], ([name, { stats }]) =>
          Effect.map(stats, (stats) => [name, stats] as const)
        ),
        (levels) => {
          const all = levels.map(([, stats]) => stats)
          return {
            isolates: all.reduce(
              (sum, { spare, busy, idle, zombie }) => sum + spare + busy + idle + zombie,
              0
            ),
            zombies: all.reduce((sum, { zombie }) => sum + zombie, 0),
            levels: new Map(levels)
          }
        }
      ),
      zombies: (plugin) => {
        let count = 0
        for (const { zombies } of pools.values()) count += zombies.count(plugin)
        return count
      },
      outdated: Effect.sync(
        () => new Map([...pools.values()].flatMap(({ lastGood }) => [...lastGood.outdated]))
      ),
      audits: Effect.sync(audits.all)
    })
  })
