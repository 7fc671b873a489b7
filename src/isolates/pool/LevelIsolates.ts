/** All isolates of one level: boots them, some ahead, and ends each one or counts it as a zombie. */
import { Deferred, type Duration, Effect, FiberSet, type Scope } from "effect"
import type { Fork } from "../../Fork.ts"
import type { IsolateRecorder } from "../../Metrics.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { Isolate } from "../isolate/Isolate.ts"
import type { BootOptions, IsolateFactory } from "../levels/IsolateFactory.ts"
import { startTurn } from "../levels/startTurn.ts"
import { runtimeClosed } from "../../modules/LoaderPool.ts"
import type { Cores } from "./Cores.ts"
import { makeSpares, type Spares } from "./Spares.ts"
import type { Death } from "../isolate/Transport.ts"
import { exitDespiteZombies, Zombies } from "./Zombies.ts"

export interface LevelIsolatesOptions {
  /** Booted isolates kept ready for plugins. Default 2. */
  readonly spares: number
  /** Upper bound of spares under demand. Default: two per core. */
  readonly maxSpares: number
  /** Spares that are unused for this long are ended. */
  readonly idleTimeToLive: Duration.Duration
}

export interface LevelIsolates {
  /** Booted isolates with these options, for plugins that are reused or run fresh. */
  readonly sparesOf: (bootOptions: BootOptions, reuse: PluginSpec["reuse"]) => Spares
  /** Ends an isolate; `false` if it does not die in time. Then it stays counted. */
  readonly end: (isolate: Isolate) => Effect.Effect<boolean>
  /** Ends an isolate in the background. */
  readonly endInBackground: (isolate: Isolate, plugin: string) => void
  /** Starts something that ends when the level closes. */
  readonly fork: Fork
  /** Ends spares that are no longer in demand. */
  readonly sweep: Effect.Effect<void>
  readonly zombies: Zombies
  /** Whether the scope is closing: nothing new starts. */
  readonly closing: boolean
  readonly counts: { readonly booting: number; readonly living: number; readonly zombie: number }
}

/** If an isolate is not gone after so many times `deathWait`, it counts as a zombie. */
const endAttempts = 20

export const makeLevelIsolates = Effect.fnUntraced(function* (
  options: LevelIsolatesOptions,
  level: IsolateFactory,
  recorder: Pick<IsolateRecorder, "booted">,
  cores: Cores
): Effect.fn.Return<LevelIsolates, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const sparesByBootOptions = new Map<string, Spares>()
  const zombies = new Zombies(level.name)
  const all = new Set<Isolate>()
  /** Boots in progress or waiting for their turn; each is completed when its isolate has booted or failed. */
  const boots = new Set<Deferred.Deferred<void>>()
  let closing = false

  const end = (isolate: Isolate): Effect.Effect<boolean> =>
    Effect.tap(isolate.kill, (gone) =>
      Effect.sync(() => {
        if (gone) all.delete(isolate)
      })
    )

  const fork = yield* FiberSet.makeRuntime<never>()

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closing = true
      return Effect.forEach([...all], end, { concurrency: "unbounded" }).pipe(
        Effect.map((gone) => gone.includes(false) && exitDespiteZombies()),
        // An isolate that is still booting ends itself.
        Effect.andThen(Effect.forEach([...boots], (boot) => Deferred.await(boot), { discard: true }))
      )
    })
  )

  const start = (bootOptions: BootOptions): Effect.Effect<Isolate, Death> =>
    Effect.suspend(() => {
      // The layer closed while this boot waited for its turn.
      if (closing) return Effect.fail<Death>({ reason: runtimeClosed })
      const began = performance.now()
      return Effect.tap(level.boot(bootOptions, fork), (isolate) => {
        recorder.booted(performance.now() - began)
        all.add(isolate)
        // The layer closed while this isolate booted.
        return closing ? end(isolate) : Effect.void
      })
    })

  // Uninterruptible once it has its turn, so that no booted isolate is lost; from there it is short and bounded.
  const boot = (bootOptions: BootOptions): Effect.Effect<Isolate, Death> =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        if (closing) return Effect.fail<Death>({ reason: runtimeClosed })
        const over = Deferred.makeUnsafe<void>()
        boots.add(over)
        cores.enter(over)
        // The wait can be interrupted even if its taker, which must not lose an isolate, cannot.
        return Effect.interruptible(startTurn).pipe(
          Effect.andThen(start(bootOptions)),
          Effect.ensuring(
            Effect.suspend(() => {
              boots.delete(over)
              cores.leave(over)
              return Deferred.succeed(over, undefined)
            })
          )
        )
      })
    )

  const standard = JSON.stringify(level.standardBootOptions)

  return {
    // Boot options never change. Spares with unusual options are kept only for plugins that run fresh.
    sparesOf: (bootOptions, reuse) => {
      const key = JSON.stringify(bootOptions)
      const known = sparesByBootOptions.get(key)
      if (known !== undefined) return known
      const isStandard = key === standard
      const most = isStandard || reuse === "never" ? options.maxSpares : 0
      const spares = makeSpares({
        least: isStandard ? options.spares : 0,
        boot: boot(bootOptions),
        end,
        scope,
        most,
        boots: cores.count,
        room: cores.free,
        quiet: options.idleTimeToLive
      })
      if (most > 0) sparesByBootOptions.set(key, spares)
      return spares
    },
    end,
    endInBackground: (isolate, plugin) => {
      // The finalizer ends all that are left.
      if (closing) return
      // A busy machine may take long to end a thread.
      fork(
        Effect.repeat(end(isolate), { until: (gone) => gone, times: endAttempts }).pipe(
          Effect.flatMap((gone) => (gone ? Effect.void : zombies.note(plugin, isolate)))
        )
      )
    },
    fork,
    sweep: Effect.suspend(() =>
      Effect.forEach([...sparesByBootOptions.values()], (spares) => spares.sweep, { discard: true })
    ),
    zombies,
    get closing() {
      return closing
    },
    get counts() {
      const zombie = [...all].filter((isolate) => isolate.undead).length
      return { booting: boots.size, living: all.size - zombie, zombie }
    }
  }
})
