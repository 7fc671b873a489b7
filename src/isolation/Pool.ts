/**
 * Keeps isolates warm for their plugin, and hands each to one run at a time. Knows nothing of levels: it is
 * given a way to boot an isolate. How many runs go at once is the runtime's to say.
 *
 * A lease in doubt is destroyed, never returned: after an error of the isolate, an interruption, a leftover,
 * a change of the plugin's files, `maxRuns` runs or `maxAge`.
 */
import { Clock, Duration, Effect, Exit, MutableRef, Option, Scope } from "effect"
import { LoadError, type PluginError, PluginTimeout } from "../Errors.ts"
import type { PluginInfo } from "../guest/protocol.ts"
import type { PluginSpec } from "../Plugin.ts"
import { crashed, loadPlugin, type Subject } from "./exchange.ts"
import type { Isolate } from "./Isolate.ts"
import type { Birth, Level } from "./Level.ts"
import type { ModuleLoader } from "./ModuleLoader.ts"
import { makeSpares, type Spares } from "./Spares.ts"
import type { Death } from "./Transport.ts"
import type { UsageWatch } from "./UsageWatch.ts"
import { warmKeyOf } from "./warmKey.ts"
import { exitDespiteZombies, makeZombies, type Zombies } from "./zombies.ts"

export interface PoolOptions {
  /** Booted isolates kept ready for plugins. Default 2. */
  readonly spares: number
  /** A warm isolate that nobody has used for so long is ended. Default 5 minutes. */
  readonly idleTimeToLive: Duration.Duration
  /** A warm isolate is replaced after so many runs. Default 100,000. */
  readonly maxRuns: number
  /** A warm isolate is replaced at this age. Default 1 hour. */
  readonly maxAge: Duration.Duration
  /** A plugin that has left so many isolates unkillable is refused. Default 3. */
  readonly maxZombies: number
}

/** An isolate that has loaded its plugin. */
export interface Warm {
  readonly spec: PluginSpec
  readonly isolate: Isolate
  readonly info: PluginInfo
  readonly changed: Effect.Effect<boolean>
  readonly born: number
  runs: number
  lastUsed: number
  lastChecked: number
  /** Set when it must not serve another run. */
  spent: boolean
}

export interface PoolStats {
  /** Isolates that exist, spares and zombies included. */
  readonly isolates: number
  /** Isolates that were told to die and have not, for longer than a host waits. */
  readonly zombies: number
}

export interface Pool {
  /** An isolate for one run of the spec's plugin, until the scope closes: a warm one, or one that is made. */
  readonly lease: (subject: Subject, entry: string) => Effect.Effect<Warm, PluginError, Scope.Scope>
  /** Boots spares for plugins that ask for nothing; otherwise the first run does. */
  readonly prepare: Effect.Effect<void>
  readonly stats: Effect.Effect<PoolStats>
  readonly zombies: Zombies
}

/** A wait that does not keep the host's process alive. */
const unheldSleep = (duration: Duration.Duration): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), Duration.toMillis(duration))
    timer.unref()
    return Effect.sync(() => clearTimeout(timer))
  })

/** How many times as long as its caller waits, one waits for an isolate that has answered to die. */
const patience = 20

/** How often a warm isolate's files are looked at for changes, in milliseconds. */
const changeCheckInterval = 1_000

export const makePool = (
  options: PoolOptions,
  level: Level,
  /** Absent where guests read their modules themselves. */
  loader: ModuleLoader["Service"] | undefined,
  /** Absent where usage cannot be looked at. */
  watch: UsageWatch | undefined
): Effect.Effect<Pool, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const idle = new Map<string, Array<Warm>>()
    const sparesByBirth = new Map<string, Spares>()
    const zombies = makeZombies(level.name)
    const all = new Set<Isolate>()
    const closing = MutableRef.make(false)

    /** Ends an isolate; one that lingers stays counted. */
    const end = (isolate: Isolate): Effect.Effect<boolean> =>
      Effect.tap(isolate.kill, (gone) =>
        Effect.sync(() => {
          if (gone) all.delete(isolate)
        })
      )

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        MutableRef.set(closing, true)
        return Effect.forEach([...all], end, { concurrency: "unbounded" }).pipe(
          Effect.map((gone) => gone.includes(false) && exitDespiteZombies())
        )
      })
    )

    // Not to be interrupted half-way, or nobody would know of the isolate; a boot is bounded and short.
    const bootTracked = (birth: Birth): Effect.Effect<Isolate, Death> =>
      level.boot(birth).pipe(
        Effect.tap((isolate) => {
          all.add(isolate)
          // The layer closed while this one was on its way.
          return MutableRef.get(closing) ? end(isolate) : Effect.void
        }),
        Effect.uninterruptible
      )

    const standard = JSON.stringify(level.standardBirth)

    /** An isolate has what it is born with for good; unusual births are kept ready only for plugins that run fresh. */
    const sparesOf = (birth: Birth, reuse: PluginSpec["reuse"]): Spares => {
      const key = JSON.stringify(birth)
      const known = sparesByBirth.get(key)
      if (known !== undefined) return known
      const size = key === standard ? options.spares : reuse === "never" ? 1 : 0
      const spares = makeSpares(size, bootTracked(birth), end, scope)
      if (size > 0) sparesByBirth.set(key, spares)
      return spares
    }

    const idleOf = (spec: PluginSpec): Array<Warm> => {
      const key = warmKeyOf(spec)
      const known = idle.get(key)
      if (known !== undefined) return known
      const none: Array<Warm> = []
      idle.set(key, none)
      return none
    }

    const makeWarm = (subject: Subject, entry: string, spares: Spares): Effect.Effect<Warm, PluginError> =>
      Effect.gen(function* () {
        const { spec } = subject
        const isolate = yield* Effect.mapError(spares.take, (death) => crashed(spec, death))
        const loaded = yield* watched(isolate, spec).pipe(
          Effect.andThen(loadPlugin(isolate, subject, entry, loader)),
          Effect.scoped,
          Effect.timeoutOrElse({
            duration: spec.timeout,
            orElse: () =>
              Effect.fail(new PluginTimeout({ plugin: spec.name, timeout: spec.timeout, phase: "load" }))
          }),
          // All around it is uninterruptible, so that no isolate is ever between two owners.
          Effect.interruptible,
          Effect.onExit((exit) =>
            Exit.isSuccess(exit)
              ? Effect.void
              : Effect.flatMap(end(isolate), (gone) =>
                  gone ? Effect.void : zombies.note(spec.name, isolate)
                ).pipe(Effect.andThen(spares.fill))
          )
        )
        const now = yield* Clock.currentTimeMillis
        return { spec, isolate, ...loaded, born: now, runs: 0, lastUsed: now, lastChecked: now, spent: false }
      })

    /** Keeps an eye on what an isolate uses while plugin code runs in it. */
    const watched = (isolate: Isolate, spec: PluginSpec): Effect.Effect<void, never, Scope.Scope> =>
      watch === undefined ? Effect.void : watch.watch(isolate, spec.limits)

    const isFresh = (warm: Warm, now: number): Effect.Effect<boolean> => {
      if (!warm.isolate.usable || now - warm.born > Duration.toMillis(options.maxAge))
        return Effect.succeed(false)
      if (now - warm.lastChecked < changeCheckInterval) return Effect.succeed(true)
      warm.lastChecked = now
      // A loader that is busy compiling for someone else has nothing to say of this one in time.
      return Effect.map(
        Effect.timeoutOption(Effect.interruptible(warm.changed), "100 millis"),
        (changed) => Option.isNone(changed) || !changed.value
      )
    }

    const takeIdle = (shelf: Array<Warm>): Effect.Effect<Warm | undefined> =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        for (let warm = shelf.pop(); warm !== undefined; warm = shelf.pop()) {
          if (yield* isFresh(warm, now)) return warm
          yield* endInBackground(warm)
        }
        return undefined
      })

    /** Nobody waits for this one: it is given all the time that a busy machine may take to end a thread. */
    const endInBackground = ({ isolate, spec }: Warm): Effect.Effect<void> =>
      Effect.repeat(end(isolate), { until: (gone) => gone, times: patience }).pipe(
        Effect.flatMap((gone) => (gone ? Effect.void : zombies.note(spec.name, isolate))),
        Effect.forkIn(scope, { startImmediately: true }),
        Effect.asVoid
      )

    const giveBack = (warm: Warm, spares: Spares): Effect.Effect<void> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const { spec } = warm
        warm.runs++
        warm.lastUsed = now
        const keep =
          spec.reuse === "plugin" &&
          !warm.spent &&
          warm.isolate.usable &&
          warm.runs < options.maxRuns &&
          !MutableRef.get(closing)
        if (keep) idleOf(spec).push(warm)
        return Effect.andThen(keep ? Effect.void : endInBackground(warm), spares.fill)
      })

    const sweep = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const expired: Array<Warm> = []
      for (const [key, shelf] of idle) {
        const limit = now - Duration.toMillis(options.idleTimeToLive)
        const kept = shelf.filter((warm) => warm.lastUsed > limit || (expired.push(warm), false))
        shelf.splice(0, shelf.length, ...kept)
        if (shelf.length === 0) idle.delete(key)
      }
      return Effect.forEach(expired, endInBackground, { discard: true })
    })
    yield* unheldSleep(Duration.max(Duration.millis(100), Duration.times(options.idleTimeToLive, 0.2))).pipe(
      Effect.andThen(sweep),
      Effect.forever,
      Effect.forkScoped
    )

    return {
      prepare: Effect.suspend(() => sparesOf(level.standardBirth, "plugin").fill),
      lease: (subject, entry) =>
        Effect.gen(function* () {
          const { spec, grants } = subject
          const refused = (reason: string): LoadError =>
            new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason })
          if (MutableRef.get(closing)) return yield* crashed(spec, { reason: "the runtime was closed" })
          if (zombies.count(spec.name) >= options.maxZombies) {
            return yield* refused(
              `${zombies.count(spec.name)} of its isolates could not be stopped; it is refused on isolation "${level.name}" until they die or the hub restarts`
            )
          }
          const birth = yield* Effect.mapError(level.birthOf(spec, grants), refused)
          const spares = sparesOf(birth, spec.reuse)
          const warm = yield* Effect.acquireRelease(
            Effect.flatMap(
              spec.reuse === "plugin" ? takeIdle(idleOf(spec)) : Effect.succeed(undefined),
              (warm) => (warm === undefined ? makeWarm(subject, entry, spares) : Effect.succeed(warm))
            ),
            (warm) => giveBack(warm, spares)
          )
          yield* watched(warm.isolate, spec)
          return warm
        }),
      zombies,
      stats: Effect.sync(() => ({
        isolates: all.size,
        zombies: [...all].filter((isolate) => isolate.undead).length
      }))
    }
  })
