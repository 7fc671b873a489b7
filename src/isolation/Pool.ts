/**
 * Keeps isolates warm for their plugin, and hands runs over to them. Knows nothing of levels: it is given a way to
 * boot an isolate. How many runs are handed over at once is the runtime's to say.
 *
 * An isolate in doubt is ended, never used again: after an error of its own, an interruption, a leftover, a change of
 * the plugin's files, `maxRuns` runs or `maxAge`.
 */
import { Clock, Deferred, Duration, Effect, Exit, FiberSet, MutableRef, Option, type Scope } from "effect"
import * as os from "node:os"
import type { IsolationLevel } from "../Capabilities.ts"
import { LoadError, NotBegun, type PluginError, PluginTimeout } from "../Errors.ts"
import type { PluginInfo } from "../guest/protocol.ts"
import type { IsolateCounts, PluginMetrics } from "../Metrics.ts"
import type { PluginSpec } from "../Plugin.ts"
import { crashed, loadPlugin } from "./exchange.ts"
import type { Isolate } from "./Isolate.ts"
import type { Birth, Level } from "./Level.ts"
import { type ModuleLoader, runtimeClosed } from "./ModuleLoader.ts"
import { Shelf } from "./Shelf.ts"
import { makeSpares, type Spares } from "./Spares.ts"
import type { Subject } from "./Subject.ts"
import type { Death } from "./Transport.ts"
import type { UsageWatch } from "./UsageWatch.ts"
import { type Answer, type Call, type Keeper, notBegun, Warm } from "./Warm.ts"
import type { WarmBudget } from "./WarmBudget.ts"
import { warmKeyOf } from "./warmKey.ts"
import { exitDespiteZombies, makeZombies, type Zombies } from "./zombies.ts"

export interface PoolOptions {
  /** Booted isolates kept ready for plugins. Default 2. */
  readonly spares: number
  /** No more of them than that, however many are in demand. Default: two a core. */
  readonly maxSpares: number
  /** A warm isolate that nobody has used for so long is ended. Default 5 minutes. */
  readonly idleTimeToLive: Duration.Duration
  /** A warm isolate is replaced after so many runs. Default 100,000. */
  readonly maxRuns: number
  /** A warm isolate is replaced at this age. Default 1 hour. */
  readonly maxAge: Duration.Duration
  /** A plugin that has left so many isolates unkillable is refused. Default 3. */
  readonly maxZombies: number
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
    const scope = yield* Effect.scope
    const shelves = new Map<string, Shelf>()
    const sparesByBirth = new Map<string, Spares>()
    const zombies = makeZombies(level.name)
    const all = new Set<Isolate>()
    const recorder = metrics.isolates(level.name)
    /** Isolates on their way; told when they have come or failed to. */
    const boots = new Set<Deferred.Deferred<void>>()
    const closing = MutableRef.make(false)

    /** Ends an isolate; one that lingers stays counted. */
    const end = (isolate: Isolate): Effect.Effect<boolean> =>
      Effect.tap(isolate.kill, (gone) =>
        Effect.sync(() => {
          if (gone) all.delete(isolate)
        })
      )

    const runFork = yield* FiberSet.makeRuntime<never>()

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        MutableRef.set(closing, true)
        return Effect.forEach([...all], end, { concurrency: "unbounded" }).pipe(
          Effect.map((gone) => gone.includes(false) && exitDespiteZombies()),
          // What is being booted ends itself, and begins nothing more.
          Effect.andThen(Effect.forEach([...boots], (boot) => Deferred.await(boot), { discard: true }))
        )
      })
    )

    // Not to be interrupted half-way, or nobody would know of the isolate; a boot is bounded and short.
    const bootTracked = (birth: Birth): Effect.Effect<Isolate, Death> =>
      Effect.suspend(() => {
        if (MutableRef.get(closing)) return Effect.fail<Death>({ reason: runtimeClosed })
        const over = Deferred.makeUnsafe<void>()
        boots.add(over)
        const began = performance.now()
        return level.boot(birth).pipe(
          Effect.tap((isolate) => {
            recorder.booted(performance.now() - began)
            all.add(isolate)
            // The layer closed while this one was on its way.
            return MutableRef.get(closing) ? end(isolate) : Effect.void
          }),
          Effect.ensuring(
            Effect.suspend(() => {
              boots.delete(over)
              return Deferred.succeed(over, undefined)
            })
          )
        )
      }).pipe(Effect.uninterruptible)

    const standard = JSON.stringify(level.standardBirth)

    /** An isolate has what it is born with for good; unusual births are kept ready only for plugins that run fresh. */
    const sparesOf = (birth: Birth, reuse: PluginSpec["reuse"]): Spares => {
      const key = JSON.stringify(birth)
      const known = sparesByBirth.get(key)
      if (known !== undefined) return known
      const isStandard = key === standard
      const most = isStandard || reuse === "never" ? options.maxSpares : 0
      const spares = makeSpares(isStandard ? options.spares : 0, bootTracked(birth), end, scope, {
        most,
        boots: Math.max(1, os.availableParallelism() - 1),
        quiet: options.idleTimeToLive
      })
      if (most > 0) sparesByBirth.set(key, spares)
      return spares
    }

    const shelfOf = (spec: PluginSpec): Shelf => {
      const key = warmKeyOf(spec)
      const known = shelves.get(key)
      if (known !== undefined) return known
      const shelf = new Shelf()
      shelves.set(key, shelf)
      return shelf
    }

    /** Nobody waits for this one: it is given all the time that a busy machine may take to end a thread. */
    const endInBackground = (isolate: Isolate, spec: PluginSpec): void => {
      // The finalizer sees to all that are left.
      if (MutableRef.get(closing)) return
      runFork(
        Effect.repeat(end(isolate), { until: (gone) => gone, times: patience }).pipe(
          Effect.flatMap((gone) => (gone ? Effect.void : zombies.note(spec.name, isolate)))
        )
      )
    }

    /** All that have loaded a plugin and are not yet on their way out. */
    const warms = new Set<Warm>()
    let loading = 0

    /** What is done for a warm isolate of a spec when it gets work, and when it has none left. */
    const keeperOf = (spec: PluginSpec, spares: Spares): Keeper => {
      const shelf = shelfOf(spec)
      let first = true
      const fill = (): void => {
        if (!MutableRef.get(closing)) runFork(spares.fill)
      }
      const remove = (warm: Warm): void => {
        budget.remove(warm)
        shelf.remove(warm)
        if (!warms.delete(warm)) return
        endInBackground(warm.isolate, spec)
        fill()
      }
      return {
        fork: runFork,
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

    const refused = (spec: PluginSpec, reason: string): LoadError =>
      new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason })

    /** Boots an isolate, or takes a spare, and has it load the plugin; uninterruptible but where it says so. */
    const makeWarm = (subject: Subject, entry: string, labels: Labels): Effect.Effect<Warm, PluginError> =>
      Effect.gen(function* () {
        const { spec } = subject
        const birth = yield* Effect.mapError(level.birthOf(spec, subject.grants), (reason) =>
          refused(spec, reason)
        )
        const spares = sparesOf(birth, spec.reuse)
        const isolate = yield* Effect.mapError(spares.take, (death) => crashed(spec, death))
        watch?.begin(isolate, spec.limits, metrics.of(spec).used)
        loading++
        const began = performance.now()
        const loaded = yield* loadPlugin(isolate, subject, entry, loader, labels).pipe(
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
          })
        )
        metrics.of(spec).loaded(performance.now() - began)
        const warm = new Warm(isolate, loaded, keeperOf(spec, spares), yield* Clock.currentTimeMillis)
        warms.add(warm)
        return warm
      }).pipe(Effect.annotateLogs(labels), Effect.uninterruptible)

    /** Why no isolate is made for a plugin now, if there is a reason. */
    const problemOf = (spec: PluginSpec): PluginError | undefined => {
      if (MutableRef.get(closing)) return crashed(spec, { reason: runtimeClosed })
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
      // A loader that is busy compiling for someone else has nothing to say of this one in time.
      Effect.map(Effect.timeoutOption(Effect.interruptible(warm.changed), "100 millis"), (changed) => {
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
      runFork(check(warm))
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
        if (warm !== undefined) return Effect.succeed(warm.info)
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
      return Effect.forEach([...sparesByBirth.values()], (spares) => spares.sweep, { discard: true })
    })
    yield* unheldSleep(Duration.max(Duration.millis(100), Duration.times(options.idleTimeToLive, 0.2))).pipe(
      Effect.andThen(sweep),
      Effect.forever,
      Effect.forkScoped
    )

    const count = (): PoolStats => {
      const zombie = [...all].filter((isolate) => isolate.undead).length
      const idle = [...warms].filter((warm) => warm.handed === 0).length
      const busy = warms.size - idle + loading
      return { booting: boots.size, spare: Math.max(0, all.size - zombie - idle - busy), idle, busy, zombie }
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
      stats: Effect.sync(count)
    }
  })
