/**
 * The pools of one isolation level, one per plugin, and what they share. The level itself is behind `IsolateFactory`.
 *
 * An isolate in doubt is ended and never reused: after an error of its own, an interruption, a leftover, a change of
 * the plugin's files, `maxRuns` runs or `maxAge`.
 */
import { Clock, Duration, Effect, Exit, Option, Result, type Scope } from "effect"
import * as path from "node:path"
import type { IsolationLevel } from "../../Capabilities.ts"
import { checkUnmoved } from "../../capabilities/files.ts"
import { type PluginError, PluginTimeout } from "../../Errors.ts"
import type { PluginMetrics } from "../../Metrics.ts"
import type { PluginSpec } from "../../Plugin.ts"
import { unprepared } from "../../PrepareError.ts"
import { loadPlugin } from "../isolate/loadPlugin.ts"
import { crashed, unpreparedError } from "../isolate/pluginErrors.ts"
import { isolateKeyOf } from "./isolateKey.ts"
import { pausedFor, timeoutAwake } from "../watch/HostPauses.ts"
import { type LastGood, makeLastGood, soon } from "./LastGood.ts"
import type { IsolateFactory } from "../levels/IsolateFactory.ts"
import type { GuestModules } from "../../modules/GuestModules.ts"
import { runtimeClosed } from "../../modules/LoaderPool.ts"
import type { ModuleLoader } from "../../modules/ModuleLoader.ts"
import type { Cores } from "./Cores.ts"
import { type IsolateOwner, PluginIsolate } from "./PluginIsolate.ts"
import { PluginPool } from "./PluginPool.ts"
import type { PoolHost } from "./PoolHost.ts"
import { makeLevelIsolates, type LevelIsolatesOptions } from "./LevelIsolates.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import type { UsageWatch } from "../watch/UsageWatch.ts"
import type { WarmMemory } from "./WarmMemory.ts"
import type { PoolStats, PreparedPlugin } from "../Workers.ts"
import type { Zombies } from "./zombies.ts"

export interface PoolOptions extends LevelIsolatesOptions {
  /** An isolate that is idle for this long is ended. Default 5 minutes. */
  readonly idleTimeToLive: Duration.Duration
  /** An isolate is replaced after this many runs. Default 100,000. */
  readonly maxRuns: number
  /** An isolate is replaced at this age. Default 1 hour. */
  readonly maxAge: Duration.Duration
  /** A plugin with this many zombies is refused. Default 3. */
  readonly maxZombies: number
  /** Whether a plugin whose changed files fail to load keeps running its earlier version. Default `false`. */
  readonly keepLastGood: boolean
  /** Base folder of relative paths in grants. */
  readonly grantsBase: string
}

export interface Pools {
  readonly prepare: (spec: PluginSpec) => PreparedPlugin
  /** Boots spares for plugins without grants; without this the first run does. */
  readonly bootSpares: Effect.Effect<void>
  readonly stats: Effect.Effect<PoolStats>
  readonly zombies: Zombies
  readonly lastGood: Pick<LastGood, "outdated">
}

/** A wait that does not keep the host's process alive. */
const unheldSleep = (duration: Duration.Duration): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), Duration.toMillis(duration))
    timer.unref()
    return Effect.sync(() => clearTimeout(timer))
  })

/** MiB that an isolate of each level takes without its plugin's data, as `npm run bench` measures it. */
const weights: { readonly [Name in IsolationLevel]: number } = { thread: 12, process: 45, wasm: 20 }

/** What the pools of one level need. */
export interface PoolsOptions {
  readonly options: PoolOptions
  readonly level: IsolateFactory
  /** Shared by all levels. */
  readonly memory: WarmMemory
  /** Shared by all levels. */
  readonly cores: Cores
  readonly metrics: PluginMetrics["Service"]
  readonly audit: PoolHost["audit"]
  /** Absent if guests read their modules themselves. */
  readonly loader: ModuleLoader["Service"] | undefined
  /** Absent if usage cannot be looked at. */
  readonly watch: UsageWatch | undefined
}

export const makePools = ({
  options,
  level,
  memory,
  cores,
  metrics,
  audit,
  loader,
  watch
}: PoolsOptions): Effect.Effect<Pools, never, Scope.Scope> =>
  Effect.gen(function* () {
    const pools = new Map<string, PluginPool>()
    const recorder = metrics.isolates(level.name)
    const levelIsolates = yield* makeLevelIsolates(options, level, recorder, cores)
    const { end, fork, sparesOf, zombies } = levelIsolates
    const lastGood = makeLastGood(options.keepLastGood, fork)
    /** Isolates that have loaded a plugin and are still in use. */
    const isolates = new Set<PluginIsolate>()
    let loading = 0

    /** Boots an isolate, or takes a spare, and makes it load the plugin. Only the load can be interrupted. */
    const make = (
      resolved: ResolvedPlugin,
      owner: IsolateOwner,
      caller: Parameters<PoolHost["make"]>[2]
    ): Effect.Effect<PluginIsolate, PluginError> =>
      Effect.gen(function* () {
        const { spec, grants } = resolved
        const { labels, timeout } = caller
        const entry = path.resolve(spec.modulePath)
        const bootOptions = yield* Effect.mapError(
          Effect.andThen(checkUnmoved(grants), level.bootOptionsFor(spec, grants)),
          (error) => unpreparedError(spec, error)
        )
        const spares = sparesOf(bootOptions, spec.reuse)
        const isolate = yield* Effect.mapError(spares.take, (death) => crashed(spec, death))
        // The start of the host's first loader thread does not count towards the plugin's deadline.
        yield* loader?.start ?? Effect.void
        watch?.begin(isolate, spec.limits, metrics.of(spec).used)
        loading++
        cores.enter(isolate)
        const began = performance.now()
        let modules: GuestModules | undefined
        const load = Effect.gen(function* () {
          if (loader !== undefined)
            modules = yield* Effect.mapError(
              loader.open(entry, {
                keep: options.keepLastGood,
                ...(spec.integrity === undefined ? {} : { integrity: spec.integrity })
              }),
              (error) => unpreparedError(spec, error)
            )
          return yield* loadPlugin(isolate, resolved, entry, modules, labels)
        })
        const loaded = yield* load.pipe(
          timeoutAwake(Duration.toMillis(timeout), (paused) => {
            const { waitsFor } = isolate
            const why = waitsFor === undefined ? {} : { waitingFor: waitsFor }
            return Effect.fail(
              new PluginTimeout({
                plugin: spec.name,
                timeout,
                phase: "load",
                ...why,
                ...pausedFor(paused)
              })
            )
          }),
          // Everything around it is uninterruptible, so that every isolate always has an owner.
          Effect.interruptible,
          Effect.onExit((exit) => {
            watch?.end(isolate)
            loading--
            cores.leave(isolate)
            if (Exit.isSuccess(exit)) return Effect.void
            return Effect.flatMap(end(isolate), (gone) =>
              gone ? Effect.void : zombies.note(spec.name, isolate)
            ).pipe(Effect.andThen(spares.fill))
          }),
          Effect.result
        )
        if (Result.isFailure(loaded)) {
          return (yield* lastGood.canGoBack(spec, entry, modules, loaded.failure))
            ? yield* make(resolved, owner, caller)
            : yield* loaded.failure
        }
        metrics.of(spec).loaded(performance.now() - began)
        const changed = modules?.changed ?? Effect.succeed(false)
        const now = yield* Clock.currentTimeMillis
        const info = loaded.success
        const made = new PluginIsolate({ isolate, resolved, info, changed, owner, now, refill: spares.fill })
        isolates.add(made)
        if (spec.reuse === "plugin") memory.add(made, weights[level.name])
        yield* lastGood.keep(spec, entry, modules)
        return made
      }).pipe(Effect.annotateLogs(caller.labels), Effect.uninterruptible)

    const host: PoolHost = {
      grantsBase: options.grantsBase,
      maxAge: Duration.toMillis(options.maxAge),
      maxRuns: options.maxRuns,
      refusal: (spec) => {
        if (levelIsolates.closing) return crashed(spec, { reason: runtimeClosed })
        const undead = zombies.count(spec.name)
        if (undead < options.maxZombies) return undefined
        const reason = `${undead} of its isolates could not be stopped; it is refused on isolation "${level.name}" until they die or the hub restarts`
        return unpreparedError(spec, unprepared(reason))
      },
      audit,
      recorder: metrics.of,
      fork,
      make,
      hasChanged: (isolate) =>
        Effect.map(soon(isolate.changed), (changed) => Option.isSome(changed) && changed.value),
      busy: (isolate, { limits }, { used }) => {
        watch?.begin(isolate.isolate, limits, used)
        cores.enter(isolate.isolate)
        memory.busy(isolate)
      },
      idle: (isolate) => {
        watch?.end(isolate.isolate)
        cores.leave(isolate.isolate)
        if (isolate.open) memory.idle(isolate)
      },
      discard: (isolate, { name }) => {
        memory.remove(isolate)
        isolates.delete(isolate)
        levelIsolates.endInBackground(isolate.isolate, name)
      },
      fill: ({ refill }) => {
        if (!levelIsolates.closing) fork(refill)
      },
      undead: (isolate, { name }) => zombies.note(name, isolate.isolate),
      hasEarlier: ({ modulePath }) => lastGood.kept.has(path.resolve(modulePath))
    }

    const idleTimeToLive = Duration.toMillis(options.idleTimeToLive)
    const sweep = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      for (const isolate of isolates) {
        if (isolate.handed === 0 && now - isolate.lastUsed >= idleTimeToLive) isolate.retire()
      }
      return levelIsolates.sweep
    })
    yield* unheldSleep(Duration.max(Duration.millis(100), Duration.times(options.idleTimeToLive, 0.2))).pipe(
      Effect.andThen(sweep),
      Effect.forever,
      Effect.forkScoped
    )

    const count = (): PoolStats => {
      const { booting, living, zombie } = levelIsolates.counts
      const idle = [...isolates].filter((isolate) => isolate.handed === 0).length
      const busy = isolates.size - idle + loading
      return { booting, spare: Math.max(0, living - idle - busy), idle, busy, zombie }
    }
    yield* recorder.watch(count)

    return {
      prepare: (spec) => {
        const key = isolateKeyOf(spec)
        const pool = pools.get(key) ?? new PluginPool(spec, host)
        pools.set(key, pool)
        return {
          submit: (run) => pool.submit(run),
          load: pool.load(spec.timeout),
          waiting: () => pool.waiting(),
          hasEarlier: () => pool.hasEarlier()
        }
      },
      bootSpares: Effect.suspend(() => sparesOf(level.standardBootOptions, "plugin").fill),
      stats: Effect.sync(count),
      zombies,
      lastGood
    }
  })
