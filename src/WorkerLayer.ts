/** The service that runs plugins in isolates. Each isolation level has a Layer, and so have fakes for tests. */
import { Context, Duration, Effect, Layer, Result } from "effect"
import * as os from "node:os"
import type { IsolationLevel } from "./Capabilities.ts"
import { levelNames } from "./capabilities/matrix.ts"
import { LoadError, UnsupportedRuntime } from "./Errors.ts"
import { Audits } from "./isolates/Audits.ts"
import { type FakePlugin, makeFakes } from "./isolates/fakes.ts"
import { Cores } from "./isolates/pool/Cores.ts"
import { findLevel, runtimeName, threadsAreConfined } from "./isolates/levels/findLevel.ts"
import type { PoolOptions } from "./isolates/pool/PoolHost.ts"
import { makePools, type Pools } from "./isolates/pool/Pools.ts"
import { ModuleLoader } from "./modules/ModuleLoader.ts"
import { makeUsageWatch } from "./isolates/watch/UsageWatch.ts"
import { WarmMemory } from "./isolates/pool/WarmMemory.ts"
import { type PoolStats, unavailable, type Workers } from "./isolates/Workers.ts"
import { metricsLayer, PluginMetrics } from "./Metrics.ts"

export type { FakePlugin } from "./isolates/fakes.ts"
export type {
  LongText,
  PoolStats,
  PreparedPlugin,
  RunInput,
  Submission,
  Workers,
  WorkerStats
} from "./isolates/Workers.ts"

/** How isolates are kept, on every level. */
export interface WorkerOptions {
  /** How many booted isolates wait for a plugin, on each level in use. Default 2. */
  readonly spares?: number
  /**
   * How many wait at most, if plugins with `reuse: "never"` need more. Default 2 per core; 0 if `spares` is 0.
   */
  readonly maxSpares?: number
  /**
   * Levels that boot their spares when the Layer is built. The others boot theirs with the first run. Default: the
   * level of a Layer with one level, else `["thread"]`.
   */
  readonly prepare?: ReadonlyArray<IsolationLevel>
  /** A warm isolate that is idle for this long is ended. Default 5 minutes. */
  readonly idleTimeToLive?: Duration.Input
  /** A warm isolate is replaced after this many runs. Default 100,000. */
  readonly maxRuns?: number
  /** A warm isolate is replaced at this age. Default 1 hour. */
  readonly maxAge?: Duration.Input
  /**
   * MiB that the warm isolates of all plugins may take together, estimated by level. Over it, the least recently used
   * idle isolates are ended. Default: a quarter of the machine's memory.
   */
  readonly warmMemory?: number
  /** A plugin is refused once this many of its isolates could not be killed. Default 3. */
  readonly maxZombies?: number
  /**
   * Whether a plugin keeps running its previous version if its changed files fail to load. `outdated` lists such
   * plugins. If not, its runs fail with `LOAD_ERROR`. Default `false`.
   */
  readonly keepLastGood?: boolean
  /** Base folder of relative paths in grants. Default: the host's working directory. */
  readonly grantsBase?: string
  /**
   * Whether threads may run on a runtime without permissions for threads (Bun). Then only hangs and crashes are
   * contained: use it only if you wrote all plugins yourself. Default `false`.
   */
  readonly trusted?: boolean
  /**
   * Whether threads can be debugged through the host's inspector (`node:inspector`). A thread may then wait for the
   * debugger before it boots. For plugin authors, not for a hub: an inspector gets around Node's permissions.
   * Default `false`.
   */
  readonly inspectable?: boolean
  /** Path of the Node that processes run on. Default: the host's own; on Bun, the first `node` on the PATH. */
  readonly node?: string
  /**
   * The user that processes run as. Default: if the host is root, user and group 65534 (nobody), provided that they
   * can read the library; otherwise the host's user.
   */
  readonly user?: "host" | { readonly uid: number; readonly gid: number }
}

/** Runs plugins in isolates. The static members are its Layers. */
export class WorkerLayer extends Context.Service<WorkerLayer, Workers>()(
  "@agentlip/plugin-runtime/WorkerLayer"
) {
  /** Makes the service with some of the levels. Fails if none of them can run plugins here. */
  static readonly make = Effect.fnUntraced(function* (
    options: WorkerOptions,
    wanted: ReadonlyArray<IsolationLevel>
  ) {
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
    const audits = new Audits()
    const memory = new WarmMemory(options.warmMemory ?? os.totalmem() / 4 / 2 ** 20)
    const cores = new Cores()
    const pools = new Map<IsolationLevel, Pools>()
    const problems = new Map<IsolationLevel, string>()
    for (const name of wanted) {
      const found = yield* Effect.result(findLevel(name, options))
      if (Result.isFailure(found)) {
        problems.set(name, found.failure.message)
        continue
      }
      // A thread on a runtime without module hooks reads its modules itself, and its usage cannot be asked.
      const bare = name === "thread" && !threadsAreConfined
      pools.set(
        name,
        yield* makePools({
          options: poolOptions,
          level: found.success,
          memory,
          cores,
          metrics,
          audits,
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
      stats: Effect.sync(() => {
        const levels = new Map<IsolationLevel, PoolStats>()
        let isolates = 0
        let zombies = 0
        for (const [name, pool] of pools) {
          const stats = pool.stats()
          levels.set(name, stats)
          isolates += stats.spare + stats.busy + stats.idle + stats.zombie
          zombies += stats.zombie
        }
        return { isolates, zombies, levels }
      }),
      zombies: (plugin) => {
        let count = 0
        for (const { zombies } of pools.values()) count += zombies.count(plugin)
        return count
      },
      outdated: Effect.sync(
        () => new Map([...pools.values()].flatMap(({ lastGood }) => [...lastGood.outdated]))
      ),
      audits: Effect.sync(() => audits.all)
    })
  })

  private static readonly layerOf = (
    options: WorkerOptions,
    levels: ReadonlyArray<IsolationLevel>
  ): Layer.Layer<WorkerLayer, UnsupportedRuntime> =>
    Layer.effect(this)(this.make(options, levels)).pipe(Layer.provide([ModuleLoader.layer, metricsLayer]))

  /**
   * Worker threads with permissions of their own; docs/security.md says what they protect against.
   *
   * @example
   * ```ts
   * PluginRuntime.layer.pipe(Layer.provide(WorkerLayer.layerThread({ spares: 4 })))
   * ```
   */
  static readonly layerThread = (options: WorkerOptions = {}): Layer.Layer<WorkerLayer, UnsupportedRuntime> =>
    this.layerOf(options, ["thread"])

  /** A process for each isolate, with limits of the operating system. */
  static readonly layerProcess = (
    options: WorkerOptions = {}
  ): Layer.Layer<WorkerLayer, UnsupportedRuntime> => this.layerOf(options, ["process"])

  /** QuickJS in WebAssembly: a plugin reaches nothing of Node, and a run finds nothing that another run has left. */
  static readonly layerWasm = (options: WorkerOptions = {}): Layer.Layer<WorkerLayer, UnsupportedRuntime> =>
    this.layerOf(options, ["wasm"])

  /** All levels: the `isolation` of each spec chooses. */
  static readonly layer = (options: WorkerOptions = {}): Layer.Layer<WorkerLayer, UnsupportedRuntime> =>
    this.layerOf(options, levelNames)

  /**
   * Fakes for tests, by plugin name. They run without isolates, under the same rules for outputs.
   *
   * @example
   * ```ts
   * WorkerLayer.layerTest({ urls: () => Effect.succeed([{ kind: "url", span: { start: 0, end: 3 }, data: {} }]) })
   * ```
   */
  static readonly layerTest = (plugins: { readonly [name: string]: FakePlugin }): Layer.Layer<WorkerLayer> =>
    Layer.effect(this)(makeFakes(plugins))
}
