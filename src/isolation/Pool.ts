/**
 * Keeps isolates warm for their plugin, and hands runs over to them. Knows nothing of levels: it is given a way to
 * boot an isolate. How many runs are handed over at once is the runtime's to say.
 *
 * An isolate in doubt is ended, never used again: after an error of its own, an interruption, a leftover, a change of
 * the plugin's files, `maxRuns` runs or `maxAge`.
 */
import { Clock, Duration, Effect, Exit, Option, Result, type Scope } from "effect"
import type { IsolationLevel } from "../Capabilities.ts"
import { movedProblem } from "../capabilities/files.ts"
import { LoadError, NotBegun, type PluginError, PluginTimeout } from "../Errors.ts"
import type { PluginInfo } from "../guest/protocol.ts"
import type { IsolateCounts, PluginMetrics } from "../Metrics.ts"
import type { PluginSpec } from "../Plugin.ts"
import { crashed, loadPlugin, openModules } from "./exchange.ts"
import { type LastGood, makeLastGood, soon } from "./LastGood.ts"
import type { Level } from "./Level.ts"
import { type GuestModules, type ModuleLoader, runtimeClosed } from "./ModuleLoader.ts"
import { makePopulation, type PopulationOptions } from "./Population.ts"
import { Shelf } from "./Shelf.ts"
import type { Spares } from "./Spares.ts"
import type { Subject } from "./Subject.ts"
import type { UsageWatch } from "./UsageWatch.ts"
import { type Answer, type Call, type Keeper, notBegun, Warm } from "./Warm.ts"
import type { WarmBudget } from "./WarmBudget.ts"
import { warmKeyOf } from "./warmKey.ts"
import type { Zombies } from "./zombies.ts"

export interface PoolOptions extends PopulationOptions {
  /** A warm isolate that nobody has used for so long is ended. Default 5 minutes. */
  readonly idleTimeToLive: Duration.Duration
  /** A warm isolate is replaced after so many runs. Default 100,000. */
  readonly maxRuns: number
  /** A warm isolate is replaced at this age. Default 1 hour. */
  readonly maxAge: Duration.Duration
  /** A plugin that has left so many isolates unkillable is refused. Default 3. */
  readonly maxZombies: number
  /** Whether a plugin whose changed files do not load goes on as it was. Default `false`. */
  readonly keepLastGood: boolean
}

/** How many isolates of a level there are, by what they are doing. */
export type PoolStats = IsolateCounts

type Labels = { readonly [label: string]: string }

export interface Pool {
  /** Runs the spec's plugin in an isolate that is warm for it, or in one that is made. */
  readonly run: (
    subject: Subject,
    entry: string,
    input: string,
    call: Call
  ) => Effect.Effect<string, PluginError | NotBegun>
  /** Hands the run to an isolate that is warm for it, as `Warm.hand` does; `undefined` if none can take it at once. */
  readonly hand: (
    subject: Subject,
    input: string,
    call: Call,
    answer: Answer
  ) => Effect.Effect<void> | undefined
  /** Has an isolate load the spec's plugin, and says what the plugin calls itself. */
  readonly load: (subject: Subject, entry: string) => Effect.Effect<PluginInfo, PluginError>
  /** Boots spares for plugins that ask for nothing; otherwise the first run does. */
  readonly prepare: Effect.Effect<void>
  readonly stats: Effect.Effect<PoolStats>
  readonly zombies: Zombies
  readonly lastGood: Pick<LastGood, "kept" | "outdated">
}

/** A wait that does not keep the host's process alive. */
const unheldSleep = (duration: Duration.Duration): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), Duration.toMillis(duration))
    timer.unref()
    return Effect.sync(() => clearTimeout(timer))
  })

/** How often a warm isolate's files are looked at for changes, in milliseconds. */
const changeCheckInterval = 1_000

/** What a warm isolate of a level takes beside its plugin's own data, in MiB, as `npm run bench` measures it. */
const weights: { readonly [Name in IsolationLevel]: number } = { thread: 12, process: 45, wasm: 20 }

export const makePool = (
  options: PoolOptions,
  level: Level,
  /** Shared by all pools. */
  budget: WarmBudget,
  metrics: PluginMetrics["Service"],
  /** Absent where guests read their modules themselves. */
  loader: ModuleLoader["Service"] | undefined,
  /** Absent where usage cannot be looked at. */
  watch: UsageWatch | undefined
): Effect.Effect<Pool, never, Scope.Scope> =>
  Effect.gen(function* () {
    const shelves = new Map<string, Shelf>()
    const recorder = metrics.isolates(level.name)
    const population = yield* makePopulation(options, level, recorder)
    const { end, fork, sparesOf, zombies } = population

    const shelfOf = (spec: PluginSpec): Shelf => {
      const key = warmKeyOf(spec)
      const known = shelves.get(key)
      if (known !== undefined) return known
      const shelf = new Shelf()
      shelves.set(key, shelf)
      return shelf
    }

    /** All that have loaded a plugin and are not yet on their way out. */
    const warms = new Set<Warm>()
    let loading = 0

    /** What is done for a warm isolate of a spec when it gets work, and when it has none left. */
    const keeperOf = (spec: PluginSpec, spares: Spares): Keeper => {
      const shelf = shelfOf(spec)
      let first = true
      const fill = (): void => {
        if (!population.closing) fork(spares.fill)
      }
      const remove = (warm: Warm): void => {
        budget.remove(warm)
        shelf.remove(warm)
        if (!warms.delete(warm)) return
        population.endInBackground(warm.isolate, spec.name)
        fill()
      }
      return {
        fork,
        busy: (warm) => {
          watch?.begin(warm.isolate, spec.limits, metrics.of(spec).used)
          budget.busy(warm)
        },
        idle: (warm) => {
          watch?.end(warm.isolate)
          if (!warm.open || warm.runs >= options.maxRuns || spec.reuse === "never") return remove(warm)
          budget.idle(warm)
          // Not before its first runs are over: they need the core themselves.
          if (first) fill()
          first = false
        },
        undead: (warm) => zombies.note(spec.name, warm.isolate)
      }
    }

    const lastGood = makeLastGood(options.keepLastGood, fork)

    const refused = (spec: PluginSpec, reason: string): LoadError =>
      new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason })

    /** Boots an isolate, or takes a spare, and has it load the plugin; uninterruptible but where it says so. */
    const makeWarm = (subject: Subject, entry: string, labels: Labels): Effect.Effect<Warm, PluginError> =>
      Effect.gen(function* () {
        const { spec, grants } = subject
        if (grants.read.length + grants.write.length > 0) {
          const moved = yield* Effect.promise(() => movedProblem(grants))
          if (moved !== undefined) return yield* refused(spec, moved)
        }
        const birth = yield* Effect.mapError(level.birthOf(spec, grants), (reason) => refused(spec, reason))
        const spares = sparesOf(birth, spec.reuse)
        const isolate = yield* Effect.mapError(spares.take, (death) => crashed(spec, death))
        watch?.begin(isolate, spec.limits, metrics.of(spec).used)
        loading++
        const began = performance.now()
        let modules: GuestModules | undefined
        const load = Effect.gen(function* () {
          if (loader !== undefined) modules = yield* openModules(isolate, subject, entry, loader)
          return yield* loadPlugin(isolate, subject, entry, modules, labels)
        })
        const loaded = yield* load.pipe(
          Effect.timeoutOrElse({
            duration: spec.timeout,
            orElse: () =>
              Effect.fail(new PluginTimeout({ plugin: spec.name, timeout: spec.timeout, phase: "load" }))
          }),
          // All around it is uninterruptible, so that no isolate is ever between two owners.
          Effect.interruptible,
          Effect.onExit((exit) => {
            watch?.end(isolate)
            loading--
            if (Exit.isSuccess(exit)) return Effect.void
            return Effect.flatMap(end(isolate), (gone) =>
              gone ? Effect.void : zombies.note(spec.name, isolate)
            ).pipe(Effect.andThen(spares.fill))
          }),
          Effect.result
        )
        if (Result.isFailure(loaded)) {
          return (yield* lastGood.canGoBack(spec, entry, modules, loaded.failure))
            ? yield* makeWarm(subject, entry, labels)
            : yield* loaded.failure
        }
        metrics.of(spec).loaded(performance.now() - began)
        const changed = modules?.changed ?? Effect.succeed(false)
        const now = yield* Clock.currentTimeMillis
        const warm = new Warm(isolate, loaded.success, changed, keeperOf(spec, spares), now)
        warms.add(warm)
        yield* lastGood.keep(spec, entry, modules)
        return warm
      }).pipe(Effect.annotateLogs(labels), Effect.uninterruptible)

    /** Why no isolate is made for a plugin now, if there is a reason. */
    const problemOf = (spec: PluginSpec): PluginError | undefined => {
      if (population.closing) return crashed(spec, { reason: runtimeClosed })
      const undead = zombies.count(spec.name)
      if (undead < options.maxZombies) return undefined
      return refused(
        spec,
        `${undead} of its isolates could not be stopped; it is refused on isolation "${level.name}" until they die or the hub restarts`
      )
    }

    /** An isolate for its first run; or, where the spec allows no more of them, the wait for one that comes or goes. */
    const grow = (
      subject: Subject,
      entry: string,
      labels: Labels
    ): Effect.Effect<Warm, PluginError | NotBegun> =>
      Effect.suspend((): Effect.Effect<Warm, PluginError | NotBegun> => {
        const { spec } = subject
        const shelf = shelfOf(spec)
        if (shelf.taken + shelf.loading >= spec.concurrency) {
          return Effect.callback<never, NotBegun>((resume) => {
            const forget = shelf.onChange(() => resume(notBegun))
            return Effect.sync(forget)
          })
        }
        shelf.loading++
        return makeWarm(subject, entry, labels).pipe(
          Effect.tap((warm) =>
            Effect.sync(() => {
              shelf.warms.add(warm)
              budget.add(warm, weights[level.name])
            })
          ),
          Effect.ensuring(Effect.sync(() => shelf.endLoad())),
          Effect.uninterruptible
        )
      })

    /** Has its plugin's files looked at; once they have changed it is handed nothing further. */
    const check = (warm: Warm): Effect.Effect<void> =>
      Effect.map(soon(warm.changed), (changed) => {
        if (Option.isSome(changed) && changed.value) warm.retire()
      })

    const maxAge = Duration.toMillis(options.maxAge)

    /** An isolate that can take a run of the spec's plugin at once, were its files not to be looked at. */
    const ready = (spec: PluginSpec, now: number): Warm | undefined => {
      if (spec.reuse === "never" || problemOf(spec) !== undefined) return undefined
      const shelf = shelfOf(spec)
      for (let warm = shelf.least(); warm !== undefined; warm = shelf.least()) {
        if (warm.handed > 0 && shelf.taken + shelf.loading < spec.concurrency) return undefined
        if (now - warm.born <= maxAge && warm.runs + warm.handed < options.maxRuns) return warm
        warm.retire()
      }
      return undefined
    }

    /** Whether its files are to be looked at before it is used. */
    const isDue = (warm: Warm, now: number): boolean => {
      if (now - warm.lastChecked < changeCheckInterval) return false
      warm.lastChecked = now
      if (warm.handed === 0) return true
      // A busy one goes on meanwhile.
      fork(check(warm))
      return false
    }

    const runWarm = (
      subject: Subject,
      entry: string,
      input: string,
      call: Call
    ): Effect.Effect<string, PluginError | NotBegun> =>
      Effect.clockWith((clock) => {
        const { spec } = subject
        const problem = problemOf(spec)
        if (problem !== undefined) return Effect.fail(problem)
        const now = clock.currentTimeMillisUnsafe()
        const warm = ready(spec, now)
        if (warm === undefined) {
          return Effect.flatMap(grow(subject, entry, call.labels), (warm) => warm.run(subject, input, call))
        }
        return isDue(warm, now) ? Effect.andThen(check(warm), notBegun) : warm.run(subject, input, call)
      })

    const loadWarm = (subject: Subject, entry: string): Effect.Effect<PluginInfo, PluginError> =>
      Effect.suspend((): Effect.Effect<PluginInfo, PluginError> => {
        const { spec } = subject
        const problem = problemOf(spec)
        if (problem !== undefined) return Effect.fail(problem)
        const warm = shelfOf(spec).least()
        if (warm !== undefined) {
          return Effect.flatMap(check(warm), () =>
            warm.open ? Effect.succeed(warm.info) : loadWarm(subject, entry)
          )
        }
        return grow(subject, entry, { plugin: spec.name }).pipe(
          Effect.map((warm) => {
            warm.left()
            return warm.info
          }),
          Effect.catchIf(
            (error) => error instanceof NotBegun,
            () => loadWarm(subject, entry)
          )
        )
      })

    /** In an isolate of its own, which is ended after it. */
    const useFresh = <A, E>(
      subject: Subject,
      entry: string,
      labels: Labels,
      use: (warm: Warm) => Effect.Effect<A, E>
    ): Effect.Effect<A, E | PluginError> =>
      Effect.suspend((): Effect.Effect<A, E | PluginError> => {
        const problem = problemOf(subject.spec)
        if (problem !== undefined) return Effect.fail(problem)
        return Effect.acquireUseRelease(makeWarm(subject, entry, labels), use, (warm) =>
          Effect.sync(() => warm.retire())
        )
      })

    const idleTimeToLive = Duration.toMillis(options.idleTimeToLive)
    const sweep = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      for (const warm of warms) {
        if (warm.handed === 0 && now - warm.lastUsed >= idleTimeToLive) warm.retire()
      }
      for (const [key, shelf] of shelves) if (shelf.isBare) shelves.delete(key)
      return population.sweep
    })
    yield* unheldSleep(Duration.max(Duration.millis(100), Duration.times(options.idleTimeToLive, 0.2))).pipe(
      Effect.andThen(sweep),
      Effect.forever,
      Effect.forkScoped
    )

    const count = (): PoolStats => {
      const { booting, living, zombie } = population.counts
      const idle = [...warms].filter((warm) => warm.handed === 0).length
      const busy = warms.size - idle + loading
      return { booting, spare: Math.max(0, living - idle - busy), idle, busy, zombie }
    }
    yield* recorder.watch(count)

    return {
      prepare: Effect.suspend(() => sparesOf(level.standardBirth, "plugin").fill),
      run: (subject, entry, input, call) =>
        subject.spec.reuse === "plugin"
          ? runWarm(subject, entry, input, call)
          : useFresh(subject, entry, call.labels, (warm) => warm.run(subject, input, call)),
      hand: (subject, input, call, answer) => {
        const now = call.fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
        const warm = ready(subject.spec, now)
        if (warm === undefined) return undefined
        // To be looked at first takes longer than "at once".
        if (warm.handed === 0 && now - warm.lastChecked >= changeCheckInterval) return undefined
        isDue(warm, now)
        return warm.hand(subject, input, call, answer)
      },
      load: (subject, entry) =>
        subject.spec.reuse === "plugin"
          ? loadWarm(subject, entry)
          : useFresh(subject, entry, { plugin: subject.spec.name }, (warm) => Effect.succeed(warm.info)),
      zombies,
      lastGood,
      stats: Effect.sync(count)
    }
  })
