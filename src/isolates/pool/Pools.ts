/**
 * The pools of one isolation level, one per plugin. The level itself is behind `IsolateFactory`.
 *
 * An isolate in doubt is ended and never reused: after an error of its own, an interruption, a leftover, a change of
 * the plugin's files, `maxRuns` runs or `maxAge`.
 */
import { Clock, Duration, Effect, type Scope } from "effect"
import { getOrMake } from "../../getOrMake.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { PoolStats, PreparedPlugin } from "../Workers.ts"
import { isolateKeyOf } from "./isolateKey.ts"
import type { LastGood } from "./LastGood.ts"
import { makeLevelIsolates } from "./LevelIsolates.ts"
import { PluginPool } from "./PluginPool.ts"
import { PoolHost, type PoolsOptions } from "./PoolHost.ts"
import type { Zombies } from "./Zombies.ts"

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

export const makePools = Effect.fnUntraced(function* (
  given: PoolsOptions
): Effect.fn.Return<Pools, never, Scope.Scope> {
  const { options, level, metrics, cores } = given
  const pools = new Map<string, PluginPool>()
  const recorder = metrics.isolates(level.name)
  const levelIsolates = yield* makeLevelIsolates(options, level, recorder, cores)
  const { sparesOf, sweep, zombies } = levelIsolates
  const host = new PoolHost(given, levelIsolates)

  yield* unheldSleep(Duration.max(Duration.millis(100), Duration.times(options.idleTimeToLive, 0.2))).pipe(
    Effect.andThen(Clock.currentTimeMillis),
    Effect.flatMap((now) => {
      host.retireIdle(now)
      return sweep
    }),
    Effect.forever,
    Effect.forkScoped
  )
  yield* recorder.watch(() => host.stats)

  return {
    prepare: (spec) => {
      const pool = getOrMake(pools, isolateKeyOf(spec), () => new PluginPool(spec, host))
      return {
        submit: (run) => pool.submit(run),
        load: pool.load(spec),
        waiting: () => pool.waiting(),
        hasEarlier: () => host.lastGood.hasEarlier(spec)
      }
    },
    bootSpares: Effect.suspend(() => sparesOf(level.standardBootOptions, "plugin").fill),
    stats: () => host.stats,
    zombies,
    lastGood: host.lastGood
  }
})
