/**
 * The pools of one isolation level, one per plugin, and what they share. The level itself is behind `IsolateFactory`.
 *
 * An isolate in doubt is ended and never reused: after an error of its own, an interruption, a leftover, a change of
 * the plugin's files, `maxRuns` runs or `maxAge`.
 */
import { Clock, Duration, Effect, Option, type Scope } from "effect"
import type { IsolationLevel } from "../../Capabilities.ts"
import { getOrMake } from "../../getOrMake.ts"
import type { PluginMetrics } from "../../Metrics.ts"
import { runtimeClosed } from "../../modules/LoaderPool.ts"
import type { ModuleLoader } from "../../modules/ModuleLoader.ts"
import type { PluginSpec } from "../../Plugin.ts"
import { unprepared } from "../../PrepareError.ts"
import type { Audits } from "../Audits.ts"
import type { Isolate } from "../isolate/Isolate.ts"
import { crashed, unpreparedError } from "../isolate/pluginErrors.ts"
import type { IsolateFactory } from "../levels/IsolateFactory.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import type { UsageWatch } from "../watch/UsageWatch.ts"
import type { PoolStats, PreparedPlugin } from "../Workers.ts"
import type { Cores } from "./Cores.ts"
import { isolateKeyOf } from "./isolateKey.ts"
import { isolateMaker } from "./isolateMaker.ts"
import { LastGood, soon } from "./LastGood.ts"
import { makeLevelIsolates, type LevelIsolatesOptions } from "./LevelIsolates.ts"
import type { PluginIsolate } from "./PluginIsolate.ts"
import { PluginPool } from "./PluginPool.ts"
import type { PoolHost } from "./PoolHost.ts"
import type { WarmMemory } from "./WarmMemory.ts"
import type { Zombies } from "./Zombies.ts"

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
  readonly stats: () => PoolStats
  readonly zombies: Zombies
  readonly lastGood: LastGood
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
  readonly audits: Audits
  /** Absent if guests read their modules themselves. */
  readonly loader: ModuleLoader["Service"] | undefined
  /** Absent if usage cannot be looked at. */
  readonly watch: UsageWatch | undefined
}

export const makePools = Effect.fnUntraced(function* ({
  options,
  level,
  memory,
  cores,
  metrics,
  audits,
  loader,
  watch
}: PoolsOptions): Effect.fn.Return<Pools, never, Scope.Scope> {
  const pools = new Map<string, PluginPool>()
  const recorder = metrics.isolates(level.name)
  const levelIsolates = yield* makeLevelIsolates(options, level, recorder, cores)
  const { fork, sparesOf, zombies } = levelIsolates
  const lastGood = new LastGood(options.keepLastGood, fork)
  /** Isolates that have loaded a plugin and are still in use. */
  const isolates = new Set<PluginIsolate>()
  const loading = new Set<Isolate>()

  const made = (isolate: PluginIsolate): void => {
    isolates.add(isolate)
    if (isolate.resolved.spec.reuse === "plugin") memory.add(isolate, weights[level.name])
  }

  /** An isolate loads its plugin or runs it from now on. */
  const works = (isolate: Isolate, { spec, recorder }: ResolvedPlugin): void => {
    watch?.begin(isolate, spec.limits, recorder.used)
    cores.enter(isolate)
  }
  const rests = (isolate: Isolate): void => {
    watch?.end(isolate)
    cores.leave(isolate)
  }

  const host: PoolHost = {
    grantsBase: options.grantsBase,
    maxAge: Duration.toMillis(options.maxAge),
    maxRuns: options.maxRuns,
    audits,
    metrics,
    refusal: (spec) => {
      if (levelIsolates.closing) return crashed(spec, { reason: runtimeClosed })
      const undead = zombies.count(spec.name)
      if (undead < options.maxZombies) return undefined
      const reason = `${undead} of its isolates could not be stopped; it is refused on isolation "${level.name}" until they die or the hub restarts`
      return unpreparedError(spec, unprepared(reason))
    },
    fork,
    make: isolateMaker({ level, levelIsolates, lastGood, loader, loading, made, works, rests }),
    hasChanged: (isolate) =>
      Effect.map(soon(isolate.changed), (changed) => Option.isSome(changed) && changed.value),
    busy: (isolate) => {
      works(isolate.isolate, isolate.resolved)
      memory.busy(isolate)
    },
    idle: (isolate) => {
      rests(isolate.isolate)
      if (isolate.open) memory.idle(isolate)
    },
    discard: (isolate) => {
      memory.remove(isolate)
      isolates.delete(isolate)
      levelIsolates.endInBackground(isolate.isolate, isolate.resolved.spec.name)
    },
    fill: ({ refill }) => {
      if (!levelIsolates.closing) fork(refill)
    },
    undead: ({ isolate, resolved }) => zombies.note(resolved.spec.name, isolate),
    hasEarlier: (spec) => lastGood.hasEarlier(spec)
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
    const busy = isolates.size - idle + loading.size
    return { booting, spare: Math.max(0, living - idle - busy), idle, busy, zombie }
  }
  yield* recorder.watch(count)

  return {
    prepare: (spec) => {
      const pool = getOrMake(pools, isolateKeyOf(spec), () => new PluginPool(spec, host))
      return {
        submit: (run) => pool.submit(run),
        load: pool.load(spec),
        waiting: () => pool.waiting(),
        hasEarlier: () => pool.hasEarlier()
      }
    },
    bootSpares: Effect.suspend(() => sparesOf(level.standardBootOptions, "plugin").fill),
    stats: count,
    zombies,
    lastGood
  }
})
