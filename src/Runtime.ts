/** Runs plugins: encode the input, look into the cache, ask the breaker, submit to the pool, decode, settle. */
import { Context, Effect, Exit, type Fiber, FiberSet, Layer, Option, Result } from "effect"
import { CircuitBreaker } from "./CircuitBreaker.ts"
import { LoadError, type PluginError, QueueFull } from "./Errors.ts"
import type { PluginInfo } from "./wire/messages.ts"
import { exitOf, flatMapNow, successOf } from "./exits.ts"
import { makeInputEncoder } from "./Input.ts"
import { metricsLayer, outcomeOf, PluginMetrics, type PluginStats } from "./Metrics.ts"
import { makeOutputDecoder } from "./Output.ts"
import { type InputOf, type OutputOf, type PluginSpec, specProblems } from "./Plugin.ts"
import { makeCachedRuns, ResultCache } from "./ResultCache.ts"
import { type Asked, type GuardedRun, type Plugin, Run, type RunCircuit, runId } from "./Run.ts"
import { CurrentRunObserver } from "./RunObserver.ts"
import { isTraced, withRunSpan } from "./telemetry/tracing.ts"
import { watchBreaker } from "./telemetry/watchBreaker.ts"
import { WorkerLayer } from "./WorkerLayer.ts"

/** The result of one plugin of `runAll`. */
export interface RunResult<Spec extends PluginSpec> {
  readonly spec: Spec
  readonly result: Result.Result<OutputOf<Spec>, PluginError>
}

/**
 * Runs plugins.
 *
 * **Gotchas**: the timeout counts from when an isolate begins the run. If you must not wait in the queue, put a timeout
 * of your own around `run`. Interrupting a run ends the isolate that executes it.
 *
 * @example
 * ```ts
 * const runtime = yield* PluginRuntime
 * const enrichments = yield* runtime.run(spec, { message }).pipe(
 *   Effect.catchTag("CIRCUIT_OPEN", () => Effect.succeed([]))
 * )
 * ```
 */
export class PluginRuntime extends Context.Service<
  PluginRuntime,
  {
    /**
     * Runs one plugin on one input and validates its output. The type of the output follows from the spec's kind.
     *
     * **Gotchas**: you get one result, but the plugin may be called twice. If the host ends an isolate before it learns
     * that the next run has begun there, that run executes again on another isolate.
     */
    readonly run: <Spec extends PluginSpec>(
      spec: Spec,
      input: InputOf<Spec>
    ) => Effect.Effect<OutputOf<Spec>, PluginError>
    /**
     * Like `run`, but fails with `QUEUE_FULL` at once if `limits.queue` runs of the plugin are waiting. `run` waits
     * however long the queue is.
     */
    readonly tryRun: <Spec extends PluginSpec>(
      spec: Spec,
      input: InputOf<Spec>
    ) => Effect.Effect<OutputOf<Spec>, PluginError | QueueFull>
    /** Runs many plugins side by side. A failure of one does not affect the others. */
    readonly runAll: <Spec extends PluginSpec>(
      specs: ReadonlyArray<Spec>,
      input: InputOf<Spec>,
      options?: {
        /** How many at once. Default 8. */
        readonly concurrency?: number
      }
    ) => Effect.Effect<ReadonlyArray<RunResult<Spec>>>
    /** Loads a plugin without running it, and returns the name and version that it states. For a report at start-up. */
    readonly load: (spec: PluginSpec) => Effect.Effect<PluginInfo, PluginError>
  }
>()("@agentlip/plugin-runtime/PluginRuntime") {
  static readonly make = Effect.gen(function* () {
    const breaker = yield* CircuitBreaker
    const workers = yield* WorkerLayer
    const metrics = yield* PluginMetrics
    const cache = yield* Effect.serviceOption(ResultCache)
    yield* watchBreaker
    const fork = yield* FiberSet.makeRuntime<never>()
    let runs = 0

    /** A spec is used for many runs, so its plugin is prepared once. */
    const prepared = new WeakMap<PluginSpec, Effect.Effect<Plugin, LoadError>>()
    const pluginOf = <Spec extends PluginSpec>(spec: Spec): Effect.Effect<Plugin<Spec>, LoadError> => {
      const known = prepared.get(spec)
      // Each spec's entry is its own plugin: the map's type does not say so.
      if (known !== undefined) return known as Effect.Effect<Plugin<Spec>, LoadError>
      const made = prepare(spec)
      prepared.set(spec, made)
      return made
    }
    const prepare = <Spec extends PluginSpec>(spec: Spec): Effect.Effect<Plugin<Spec>, LoadError> => {
      const problems = specProblems(spec).map(({ path, problem }) => `${path}: ${problem}`)
      const problem = problems.length > 0 ? { reason: problems.join("; ") } : spec.unresolved
      if (problem !== undefined) {
        return Effect.fail(new LoadError({ plugin: spec.name, modulePath: spec.modulePath, ...problem }))
      }
      return Effect.succeed({
        spec,
        workers: workers.prepare(spec),
        metrics: metrics.of(spec),
        encode: makeInputEncoder(spec),
        decode: makeOutputDecoder(spec),
        pin: undefined
      })
    }
    const cachedRuns = Option.isSome(cache)
      ? makeCachedRuns(cache.value, (spec) => workers.prepare(spec).hasEarlier())
      : undefined

    /** Isolates of each plugin that could not be killed, at the last look. */
    const lingering = new Map<string, number>()
    /** An isolate that cannot be killed opens its plugin's circuit at once, whatever the count of failures. */
    const tripIfLingering = (name: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        const zombies = workers.zombies(name)
        const more = zombies > (lingering.get(name) ?? 0)
        lingering.set(name, zombies)
        return more ? breaker.trip(name) : Effect.void
      })

    const enter = (run: GuardedRun): Effect.Effect<void, PluginError> => {
      const { name, breaker: policy } = run.spec
      const entered = breaker.enterNow?.(name, policy, run.now) ?? breaker.enter(name, policy, run.now)
      const admitted = successOf(entered)
      // An admitted run must report its end: no interruption between admission and the note of it.
      if (admitted === undefined)
        return Effect.uninterruptible(Effect.map(entered, (pass) => void (run.pass = pass)))
      run.pass = admitted.value
      return Effect.void
    }

    const circuit: RunCircuit = {
      enter,
      crashed: (run) => void fork(Effect.suspend(() => run.pass?.crashed(run.now) ?? Effect.void))
    }

    /** Waits for the pool's answer. */
    const submit = <Spec extends PluginSpec>(run: Run<Spec>): Effect.Effect<OutputOf<Spec>, PluginError> =>
      Effect.callback<OutputOf<Spec>, PluginError>((resume) => {
        run.resume = resume
        return run.plugin.workers.submit(run)
      })

    const settle = <Spec extends PluginSpec>(
      run: Run<Spec>,
      exit: Exit.Exit<unknown, PluginError>
    ): Effect.Effect<void> => {
      run.ended(outcomeOf(exit))
      const left = run.pass?.leave(exit, run.now) ?? Effect.void
      if (Exit.isSuccess(exit) && exitOf(left) !== undefined) return left
      return Effect.andThen(left, tripIfLingering(run.spec.name))
    }

    const start = <Spec extends PluginSpec>(
      plugin: Plugin<Spec>,
      asked: Asked<Spec>,
      fiber: Fiber.Fiber<unknown, unknown>
    ): Effect.Effect<OutputOf<Spec>, PluginError> => {
      const run = new Run(plugin, asked, fiber, circuit)
      // Not before `onExit` watches: a fiber may be interrupted between any two effects.
      const whole = Effect.suspend(() => flatMapNow(enter(run), () => submit(run)))
      return Effect.onExit(whole, (exit) => settle(run, exit))
    }

    const run = <Spec extends PluginSpec>(
      spec: Spec,
      value: InputOf<Spec>
    ): Effect.Effect<OutputOf<Spec>, PluginError> =>
      Effect.withFiber((fiber) => {
        const number = ++runs
        const perform = () =>
          flatMapNow(pluginOf(spec), (plugin) =>
            flatMapNow(plugin.encode(value), (input) =>
              spec.cache && cachedRuns !== undefined
                ? cachedRuns.cached(plugin, input.json, {
                    decode: (output) => plugin.decode(value, output),
                    run: (pinned, keep) =>
                      Effect.flatMap(pluginOf(pinned), (plugin) =>
                        Effect.withFiber((fiber) => start(plugin, { value, input, number, keep }, fiber))
                      ),
                    onHit: (version) => {
                      plugin.metrics.cached(true)
                      fiber.getRef(CurrentRunObserver)?.ended({ version, queued: undefined, ran: undefined })
                    },
                    onMiss: () => plugin.metrics.cached(false)
                  })
                : start(plugin, { value, input, number }, fiber)
            )
          )
        return isTraced(fiber) ? withRunSpan(spec, runId(spec, number))(Effect.suspend(perform)) : perform()
      })

    return PluginRuntime.of({
      run,
      tryRun: (spec, input) =>
        Effect.flatMap(pluginOf(spec), ({ workers }): Effect.Effect<void, QueueFull> => {
          const waiting = workers.waiting()
          return waiting < spec.limits.queue
            ? Effect.void
            : Effect.fail(new QueueFull({ plugin: spec.name, waiting }))
        }).pipe(Effect.andThen(run(spec, input))),
      runAll: (specs, input, options) =>
        Effect.forEach(
          specs,
          (spec) => Effect.map(Effect.result(run(spec, input)), (result) => ({ spec, result })),
          { concurrency: options?.concurrency ?? 8 }
        ),
      load: (spec) =>
        Effect.flatMap(pluginOf(spec), (plugin) =>
          // Cached runs are pinned: they cannot use an isolate that loaded the spec as it is.
          spec.cache && cachedRuns !== undefined
            ? Effect.flatMap(cachedRuns.pinned(plugin), pluginOf)
            : Effect.succeed(plugin)
        ).pipe(Effect.flatMap(({ workers }) => workers.load))
    })
  })

  /** Also provides `PluginStats`. If there is a `ResultCache`, specs with `cache: true` use it. */
  static readonly layer: Layer.Layer<
    PluginRuntime | PluginStats | PluginMetrics,
    never,
    CircuitBreaker | WorkerLayer
  > = Layer.effect(this)(this.make).pipe(Layer.provideMerge(metricsLayer))
}
