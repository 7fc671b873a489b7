/** What the pools of all plugins on a level share: how isolates are made, watched while they work, and ended. */
import { Clock, Duration, Effect, Exit, Option, Result } from "effect"
import * as path from "node:path"
import type { IsolationLevel } from "../../Capabilities.ts"
import { checkUnmoved } from "../../capabilities/files.ts"
import { type PluginError, PluginTimeout } from "../../Errors.ts"
import type { Fork } from "../../Fork.ts"
import type { PluginMetrics } from "../../Metrics.ts"
import { runtimeClosed } from "../../modules/LoaderPool.ts"
import type { ModuleLoader } from "../../modules/ModuleLoader.ts"
import type { PluginSpec } from "../../Plugin.ts"
import { unprepared } from "../../PrepareError.ts"
import type { Audits } from "../Audits.ts"
import type { Isolate } from "../isolate/Isolate.ts"
import { loadPlugin } from "../isolate/loadPlugin.ts"
import { crashed, unpreparedError } from "../isolate/pluginErrors.ts"
import type { IsolateFactory } from "../levels/IsolateFactory.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import { pausedFor, timeoutAwake } from "../watch/HostPauses.ts"
import type { UsageWatch } from "../watch/UsageWatch.ts"
import type { PoolStats } from "../Workers.ts"
import type { Cores } from "./Cores.ts"
import { LastGood, soon } from "./LastGood.ts"
import type { LevelIsolates, LevelIsolatesOptions } from "./LevelIsolates.ts"
import { type IsolateOwner, PluginIsolate } from "./PluginIsolate.ts"
import type { Submitted } from "./Waiter.ts"
import type { WarmMemory } from "./WarmMemory.ts"

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

/** MiB that an isolate of each level takes without its plugin's data, as `npm run bench` measures it. */
const weights: { readonly [Name in IsolationLevel]: number } = { thread: 12, process: 45, wasm: 20 }

export class PoolHost {
  readonly given: PoolsOptions
  readonly lastGood: LastGood
  /** Starts an effect that is interrupted when the level closes. */
  readonly fork: Fork
  readonly #levelIsolates: LevelIsolates
  readonly #loading = new Set<Isolate>()
  /** Isolates that have loaded a plugin and are still in use. */
  readonly #isolates = new Set<PluginIsolate>()

  constructor(given: PoolsOptions, levelIsolates: LevelIsolates) {
    this.given = given
    this.fork = levelIsolates.fork
    this.lastGood = new LastGood(given.options.keepLastGood, levelIsolates.fork)
    this.#levelIsolates = levelIsolates
  }

  /** The error for every run while no isolate may be made; `undefined` otherwise. */
  refusal(spec: PluginSpec): PluginError | undefined {
    const { closing, zombies } = this.#levelIsolates
    if (closing) return crashed(spec, { reason: runtimeClosed })
    const undead = zombies.count(spec.name)
    const { level, options } = this.given
    if (undead < options.maxZombies) return undefined
    const reason = `${undead} of its isolates could not be stopped; it is refused on isolation "${level.name}" until they die or the hub restarts`
    return unpreparedError(spec, unprepared(reason))
  }

  /**
   * Boots an isolate, or takes a spare, and makes it load the plugin. Only the load, and the waits for a spare or a turn,
   * can be interrupted, so that every isolate always has an owner.
   */
  make(
    resolved: ResolvedPlugin,
    owner: IsolateOwner,
    submission: Submitted
  ): Effect.Effect<PluginIsolate, PluginError> {
    return Effect.gen({ self: this }, function* () {
      const { level, loader } = this.given
      const { spec, grants, recorder } = resolved
      const bootOptions = yield* Effect.mapError(
        Effect.andThen(checkUnmoved(grants), level.bootOptionsFor(spec, grants)),
        (error) => unpreparedError(spec, error)
      )
      const entry = path.resolve(spec.modulePath)
      const { integrity } = spec
      const keeping = { keep: this.lastGood.isEnabled, ...(integrity === undefined ? {} : { integrity }) }
      // The start of the host's first loader thread does not count towards the plugin's deadline.
      const modules =
        loader &&
        (yield* Effect.mapError(loader.open(entry, keeping), (error) => unpreparedError(spec, error)))
      const spares = this.#levelIsolates.sparesOf(bootOptions, spec.reuse)
      const isolate = yield* Effect.mapError(spares.take, (death) => crashed(spec, death))
      this.#works(isolate, resolved)
      this.#loading.add(isolate)
      const began = performance.now()
      const load = loadPlugin(isolate, resolved, { entry, modules, labels: submission.labels })
      const { timeout } = submission.spec
      const loaded = yield* load.pipe(
        timeoutAwake(Duration.toMillis(timeout), (paused) => {
          const { waitsFor } = isolate
          return Effect.fail(
            new PluginTimeout({
              plugin: spec.name,
              timeout,
              phase: "load",
              ...(waitsFor === undefined ? {} : { waitingFor: waitsFor }),
              ...pausedFor(paused)
            })
          )
        }),
        Effect.interruptible,
        Effect.onExit((exit) => {
          this.#rests(isolate)
          this.#loading.delete(isolate)
          if (Exit.isSuccess(exit)) return Effect.void
          const { end, zombies } = this.#levelIsolates
          return Effect.flatMap(end(isolate), (gone) =>
            gone ? Effect.void : zombies.note(spec.name, isolate)
          ).pipe(Effect.andThen(spares.fill))
        }),
        Effect.result
      )
      if (Result.isFailure(loaded)) {
        return (yield* this.lastGood.canGoBack(spec, modules, loaded.failure))
          ? yield* this.make(resolved, owner, submission)
          : yield* loaded.failure
      }
      recorder.loaded(performance.now() - began)
      const made = new PluginIsolate({
        isolate,
        resolved,
        info: loaded.success,
        changed: modules?.changed ?? Effect.succeed(false),
        refill: spares.fill,
        owner,
        now: yield* Clock.currentTimeMillis
      })
      this.#isolates.add(made)
      if (spec.reuse === "plugin") this.given.memory.add(made, weights[level.name])
      yield* this.lastGood.keep(spec, modules)
      return made
    }).pipe(Effect.annotateLogs(submission.labels), Effect.uninterruptible)
  }

  /** An isolate loads its plugin or runs it from now on. */
  #works(isolate: Isolate, { spec, recorder }: ResolvedPlugin): void {
    this.given.watch?.begin(isolate, spec.limits, recorder.used)
    this.given.cores.enter(isolate)
  }

  #rests(isolate: Isolate): void {
    this.given.watch?.end(isolate)
    this.given.cores.leave(isolate)
  }

  busy(isolate: PluginIsolate): void {
    this.#works(isolate.isolate, isolate.resolved)
    this.given.memory.busy(isolate)
  }

  idle(isolate: PluginIsolate): void {
    this.#rests(isolate.isolate)
    if (isolate.open) this.given.memory.idle(isolate)
  }

  /** Whether the files that an isolate has loaded have changed; `false` if that is not known in time. */
  hasChanged({ changed }: PluginIsolate): Effect.Effect<boolean> {
    return Effect.map(soon(changed), (known) => Option.isSome(known) && known.value)
  }

  /** Ends an isolate in the background, in the next turn of the event loop: its last caller gets the answer first. */
  discard(isolate: PluginIsolate): void {
    this.given.memory.remove(isolate)
    this.#isolates.delete(isolate)
    isolate.isolate.abandon()
    setImmediate(() => this.#levelIsolates.endInBackground(isolate.isolate, isolate.resolved.spec.name))
  }

  /** Boots a spare to replace the one that became this isolate. */
  fill({ refill }: PluginIsolate): void {
    if (!this.#levelIsolates.closing) this.fork(refill)
  }

  /** Records an isolate that did not die. */
  undead({ isolate, resolved }: PluginIsolate): Effect.Effect<void> {
    return this.#levelIsolates.zombies.note(resolved.spec.name, isolate)
  }

  /** Ends isolates that have had no run for `idleTimeToLive`. */
  retireIdle(now: number): void {
    const idleTimeToLive = Duration.toMillis(this.given.options.idleTimeToLive)
    for (const isolate of this.#isolates) {
      if (isolate.handed === 0 && now - isolate.lastUsed >= idleTimeToLive) isolate.retire()
    }
  }

  get stats(): PoolStats {
    const { booting, living, zombie } = this.#levelIsolates.counts
    const idle = [...this.#isolates].filter((isolate) => isolate.handed === 0).length
    const busy = this.#isolates.size - idle + this.#loading.size
    return { booting, spare: Math.max(0, living - idle - busy), idle, busy, zombie }
  }
}
