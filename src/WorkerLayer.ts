/**
 * Where plugin code runs: a service that runs a spec's plugin on an input's JSON. Levels are Layers, and so are the
 * fakes of a test.
 */
import { Context, Duration, Effect, Layer } from "effect"
import * as os from "node:os"
import * as path from "node:path"
import {
  type Grants,
  type IsolationLevel,
  requestsProblem,
  resolveGrants,
  type ResolvedGrants
} from "./Capabilities.ts"
import { engineProblem, noticeText, toInstall } from "./capabilities/engines.ts"
import { thisHost } from "./capabilities/matrix.ts"
import {
  InvalidOutput,
  LoadError,
  type NotBegun,
  type PluginError,
  PluginTimeout,
  UnsupportedRuntime
} from "./Errors.ts"
import type { PluginInfo } from "./guest/protocol.ts"
import { makeAudits } from "./isolation/Audits.ts"
import { bootProblem } from "./isolation/boot.ts"
import type { Level } from "./isolation/Level.ts"
import { processLevel, threadLevel, wasmLevel } from "./isolation/levels.ts"
import { ModuleLoader } from "./isolation/ModuleLoader.ts"
import { makePool, type Pool, type PoolOptions, type PoolStats } from "./isolation/Pool.ts"
import { findProcessHost } from "./isolation/ProcessHost.ts"
import type { Subject } from "./isolation/Subject.ts"
import { metricsLayer, PluginMetrics } from "./Metrics.ts"
import { makeUsageWatch } from "./isolation/UsageWatch.ts"
import type { Answer, Call } from "./isolation/Warm.ts"
import { WarmBudget } from "./isolation/WarmBudget.ts"
import type { PluginSpec } from "./Plugin.ts"

export type { Answer, Call } from "./isolation/Warm.ts"
export type { PoolStats } from "./isolation/Pool.ts"

/** How many isolates there are. */
export interface WorkerStats {
  /** All of them, spares and zombies included. */
  readonly isolates: number
  readonly zombies: number
  /** By level, and by what they are doing; empty of fakes. */
  readonly levels: ReadonlyMap<IsolationLevel, PoolStats>
}

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

/** What a fake plugin does: `input` is what the real one would be called with. */
export type FakePlugin = (input: unknown) => Effect.Effect<unknown, PluginError>

/** Runs plugins in isolates; see the static members for its Layers. */
export class WorkerLayer extends Context.Service<
  WorkerLayer,
  {
    /** Runs that an isolate may be handed at once; it executes them one at a time. */
    readonly handedAhead: number
    /**
     * Calls the plugin's method with the input's JSON; answers the output's JSON, not yet validated. Runs are handed
     * over to an isolate ahead and executed one at a time; the spec's timeout counts from when the run begins.
     * Fails with `NotBegun` when the isolate's use ended before that, so that the run can be given in again; what it
     * did, if its guest had come to it just then, is not undone. Interruption ends the isolate of a run that has begun, and returns once it is gone or cannot be
     * waited for any longer.
     */
    readonly run: (
      spec: PluginSpec,
      input: string,
      call: Call
    ) => Effect.Effect<string, PluginError | NotBegun>
    /**
     * As `run`, but at once or not at all: `undefined` if no isolate is ready for it. Otherwise `answer` is called
     * once, with the output or why there is none, and what comes back does what interruption of `run` does.
     */
    readonly hand: (
      spec: PluginSpec,
      input: string,
      call: Call,
      answer: Answer
    ) => Effect.Effect<void> | undefined
    /** Loads the plugin, if no isolate is warm for it, and says who it is. */
    readonly load: (spec: PluginSpec) => Effect.Effect<PluginInfo, PluginError>
    readonly stats: Effect.Effect<WorkerStats>
    /** How many isolates of a plugin were to die and have not. */
    readonly zombies: (plugin: string) => number
    /** Whether a version of the plugin has loaded that it can go on with, should its files change and not load. */
    readonly hasEarlier: (spec: PluginSpec) => boolean
    /** By plugin that goes on as it was, because its changed files do not load: why they do not. */
    readonly outdated: Effect.Effect<ReadonlyMap<string, PluginError>>
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
  ).pipe(Layer.provide([ModuleLoader.layer, metricsLayer]))

/** This runtime's name. */
const runtimeName =
  process.versions.bun === undefined ? `Node ${process.versions.node}` : `Bun ${process.versions.bun}`

/** The runtime's name, if threads have no permissions of their own on it. */
const permissionlessRuntime = (): string | undefined =>
  thisHost.runtime === "node" ? undefined : runtimeName

const untrustedThreads = (runtime: string): string => {
  const onBun = {
    what: `isolation "thread" confines nothing on ${runtime}`,
    remedy: `run the hub on ${toInstall()}`
  }
  const isBun = process.versions.bun !== undefined
  const notice = (isBun ? undefined : engineProblem("thread", process.versions.node)) ?? onBun
  return `${noticeText(notice)}, use isolation "process", or say \`trusted: true\` of plugins you wrote yourself`
}

/** A level that can run plugins here, or why it cannot. */
type FoundLevel = Level | { readonly problem: string }

const findLevel = (name: IsolationLevel, options: WorkerOptions): Effect.Effect<FoundLevel> => {
  const runtime = permissionlessRuntime()
  if (bootProblem !== undefined && (runtime === undefined || name === "process"))
    return Effect.succeed({ problem: bootProblem })
  switch (name) {
    case "thread":
      return Effect.succeed(
        runtime !== undefined && options.trusted !== true
          ? { problem: untrustedThreads(runtime) }
          : threadLevel(runtime === undefined, options.inspectable)
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
    const metrics = yield* PluginMetrics
    const spares = options.spares ?? 2
    const poolOptions: PoolOptions = {
      spares,
      maxSpares: options.maxSpares ?? (spares === 0 ? 0 : Math.max(spares, 2 * os.availableParallelism())),
      idleTimeToLive: Duration.fromInputUnsafe(options.idleTimeToLive ?? "5 minutes"),
      maxRuns: options.maxRuns ?? 100_000,
      maxAge: Duration.fromInputUnsafe(options.maxAge ?? "1 hour"),
      maxZombies: options.maxZombies ?? 3,
      keepLastGood: options.keepLastGood ?? false
    }
    const budget = new WarmBudget(options.warmMemory ?? os.totalmem() / 4 / 2 ** 20)
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
        yield* makePool(
          poolOptions,
          level,
          budget,
          metrics,
          bare ? undefined : loader,
          bare ? undefined : watch
        )
      )
    }
    if (pools.size === 0) {
      return yield* new UnsupportedRuntime({
        runtime: runtimeName,
        level: wanted.join(", "),
        reason: [...problems.values()].join("; ")
      })
    }
    for (const name of options.prepare ?? (wanted.length === 1 ? wanted : (["thread"] as const)))
      yield* pools.get(name)?.prepare ?? Effect.void

    const base = options.grantsBase ?? process.cwd()
    // Asked once a spec: what a grant's path stood for when the plugin was first run is what it stands for.
    const grantsOf = (spec: PluginSpec): Effect.Effect<ResolvedGrants, string> => {
      const problem = requestsProblem(spec)
      return problem === undefined ? resolveGrants(spec.isolation, spec.grants, base) : Effect.fail(problem)
    }

    const audits = makeAudits()

    const refused = (spec: PluginSpec, reason: string): LoadError =>
      new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason })

    /** What a spec comes to on this host; found out once. */
    interface Found {
      readonly pool: Pool
      readonly subject: Subject
      readonly entry: string
    }
    const found = new WeakMap<PluginSpec, Found>()
    const find = (spec: PluginSpec): Effect.Effect<Found, LoadError> => {
      const pool = pools.get(spec.isolation)
      if (pool === undefined) {
        return Effect.fail(
          refused(
            spec,
            problems.get(spec.isolation) ??
              `isolation "${spec.isolation}" is not among the levels of this WorkerLayer (${wanted.join(", ")})`
          )
        )
      }
      return Effect.map(
        Effect.mapError(grantsOf(spec), (reason) => refused(spec, reason)),
        (grants) => {
          const subject: Subject = { spec, grants, base, audit: audits.of(spec.name) }
          const one: Found = { pool, subject, entry: path.resolve(spec.modulePath) }
          found.set(spec, one)
          return one
        }
      )
    }
    const withFound = <A, E>(
      spec: PluginSpec,
      use: (found: Found) => Effect.Effect<A, E>
    ): Effect.Effect<A, E | LoadError> => {
      const known = found.get(spec)
      return known === undefined ? Effect.flatMap(find(spec), use) : use(known)
    }

    return WorkerLayer.of({
      handedAhead: 64,
      stats: Effect.map(
        Effect.forEach([...pools], ([name, pool]) =>
          Effect.map(pool.stats, (stats) => [name, stats] as const)
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
        let zombies = 0
        for (const pool of pools.values()) zombies += pool.zombies.count(plugin)
        return zombies
      },
      hasEarlier: ({ isolation, modulePath }) =>
        pools.get(isolation)?.lastGood.kept.has(path.resolve(modulePath)) ?? false,
      outdated: Effect.sync(
        () => new Map([...pools.values()].flatMap(({ lastGood }) => [...lastGood.outdated]))
      ),
      audits: Effect.sync(audits.all),
      run: (spec, input, call) =>
        withFound(spec, ({ pool, subject, entry }) => pool.run(subject, entry, input, call)),
      hand: (spec, input, call, answer) => {
        const known = found.get(spec)
        return known?.pool.hand(known.subject, input, call, answer)
      },
      load: (spec) => withFound(spec, ({ pool, subject, entry }) => pool.load(subject, entry))
    })
  })

const makeTest = (plugins: { readonly [name: string]: FakePlugin }): WorkerLayer["Service"] => {
  const find = (spec: PluginSpec): Effect.Effect<FakePlugin, LoadError> => {
    const plugin = plugins[spec.name]
    if (plugin !== undefined) return Effect.succeed(plugin)
    const known = Object.keys(plugins).map((name) => `"${name}"`)
    return Effect.fail(
      new LoadError({
        plugin: spec.name,
        modulePath: spec.modulePath,
        reason: `layerTest has no plugin of that name; it has ${known.join(", ") || "none"}`
      })
    )
  }
  const textOf = (spec: PluginSpec, output: unknown): Effect.Effect<string, InvalidOutput> =>
    Effect.try({
      try: () => JSON.stringify(output) ?? "undefined",
      catch: (error) =>
        new InvalidOutput({
          plugin: spec.name,
          issue: `expected a value that can be written as JSON, got one that cannot (${String(error)})`
        })
    })
  return {
    handedAhead: 1,
    stats: Effect.succeed({ isolates: 0, zombies: 0, levels: new Map() }),
    zombies: () => 0,
    hasEarlier: () => false,
    outdated: Effect.succeed(new Map()),
    audits: Effect.succeed(new Map()),
    // A fake is no faster for being asked in another way.
    hand: () => undefined,
    load: (spec) => Effect.map(find(spec), () => ({ name: spec.name, version: "test" })),
    run: (spec, input, call) =>
      Effect.flatMap(find(spec), (plugin) =>
        Effect.suspend(() => {
          call.begun = performance.now()
          return Effect.annotateLogs(plugin({ ...JSON.parse(input), config: spec.config }), call.labels)
        })
      ).pipe(
        Effect.flatMap((output) => textOf(spec, output)),
        Effect.timeoutOrElse({
          duration: spec.timeout,
          orElse: () =>
            Effect.fail(new PluginTimeout({ plugin: spec.name, timeout: spec.timeout, phase: "run" }))
        })
      )
  }
}
