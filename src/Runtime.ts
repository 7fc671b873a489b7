/** Runs plugins: breaker, isolate, deadline, validation and telemetry, in that order. */
import { Context, Effect, Exit, Layer, Option, type Result } from "effect"
import { CircuitBreaker } from "./CircuitBreaker.ts"
import { LoadError, NotBegun, type PluginError, QueueFull } from "./Errors.ts"
import type { PluginInfo } from "./guest/protocol.ts"
import { exitOf, successOf } from "./exits.ts"
import { encodeInput } from "./Input.ts"
import { metricsLayer, outcomeOf, PluginMetrics, type PluginStats } from "./Metrics.ts"
import { decodeOutput } from "./Output.ts"
import { type InputOf, type OutputOf, type PluginSpec, specProblem } from "./Plugin.ts"
import { makeCachedRuns, ResultCache } from "./ResultCache.ts"
import { Run } from "./Run.ts"
import { RunQueue } from "./RunQueue.ts"
import { withRunSpan } from "./telemetry/tracing.ts"
import { watchBreaker } from "./telemetry/watchBreaker.ts"
import { WorkerLayer } from "./WorkerLayer.ts"

/** What became of one plugin of `runAll`. */
export interface RunResult<Spec extends PluginSpec> {
  readonly spec: Spec
  readonly result: Result.Result<OutputOf<Spec>, PluginError>
}

/**
 * Runs plugins.
 *
 * **Gotchas**: the timeout is counted from when an isolate begins the run; a caller that must not wait in
 * the queue puts a timeout of its own around `run`, and its interruption ends the isolate.
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
    /** Runs one plugin on one input; its output is validated, its type follows from the spec's kind. */
    readonly run: <Spec extends PluginSpec>(
      spec: Spec,
      input: InputOf<Spec>
    ) => Effect.Effect<OutputOf<Spec>, PluginError>
    /**
     * As `run`, which waits for its turn however long the plugin's queue is; this fails with `QUEUE_FULL` at once
     * when `limits.queue` runs wait already.
     */
    readonly tryRun: <Spec extends PluginSpec>(
      spec: Spec,
      input: InputOf<Spec>
    ) => Effect.Effect<OutputOf<Spec>, PluginError | QueueFull>
    /** Runs many side by side; one plugin's failure never touches another's. */
    readonly runAll: <Spec extends PluginSpec>(
      specs: ReadonlyArray<Spec>,
      input: InputOf<Spec>,
      options?: {
        /** How many at once. Default 8. */
        readonly concurrency?: number
      }
    ) => Effect.Effect<ReadonlyArray<RunResult<Spec>>>
    /** Loads a plugin without running it, and says what it calls itself; for a hub's start-up report. */
    readonly load: (spec: PluginSpec) => Effect.Effect<PluginInfo, PluginError>
  }
>()("@agentlip/plugin-runtime/PluginRuntime") {
  /** Also gives `PluginStats`: how each plugin has fared. With a `ResultCache`, specs with `cache: true` use it. */
  static readonly layer: Layer.Layer<
    PluginRuntime | PluginStats | PluginMetrics,
    never,
    CircuitBreaker | WorkerLayer
  > = Layer.effect(
    PluginRuntime,
    Effect.suspend(() => make)
  ).pipe(Layer.provideMerge(metricsLayer))
}

/** Specs are values that are made once and used for many runs; looking at each once is enough. */
const sound = new WeakSet<PluginSpec>()
const problemOf = (spec: PluginSpec): string | undefined => {
  if (sound.has(spec)) return undefined
  const problem = specProblem(spec)
  if (problem === undefined) sound.add(spec)
  return problem
}

const refused = (spec: PluginSpec, reason: string): Effect.Effect<never, LoadError> =>
  Effect.fail(new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason }))

const make = Effect.gen(function* () {
  const breaker = yield* CircuitBreaker
  const workers = yield* WorkerLayer
  const metrics = yield* PluginMetrics
  const cache = yield* Effect.serviceOption(ResultCache)
  const cachedRuns = Option.isSome(cache) ? makeCachedRuns(cache.value, workers.hasEarlier) : undefined
  yield* watchBreaker
  let runs = 0

  /**
   * How many runs of a plugin may be on their way to an isolate. Processor time is counted from run to run: where it
   * is limited, none is handed over ahead.
   */
  const placesOf = ({ concurrency, limits, reuse }: PluginSpec): number =>
    reuse === "plugin" && limits.cpu === undefined ? concurrency * workers.handedAhead : concurrency

  const queues = new Map<string, RunQueue>()
  const queuesOfSpecs = new WeakMap<PluginSpec, RunQueue>()
  const queueOf = (spec: PluginSpec): RunQueue => {
    const known = queuesOfSpecs.get(spec)
    if (known !== undefined) return known
    const places = placesOf(spec)
    const key = `${places} ${spec.name}`
    const queue = queues.get(key) ?? new RunQueue(places)
    queues.set(key, queue)
    queuesOfSpecs.set(spec, queue)
    return queue
  }

  const decoded = <Spec extends PluginSpec>(
    run: Run<Spec>,
    output: string
  ): Effect.Effect<OutputOf<Spec>, PluginError> => {
    const { spec, input, keep } = run.asked
    run.outputLength = output.length
    const decoded = decodeOutput<InputOf<Spec>, OutputOf<Spec>>(spec, input, output)
    return keep === undefined ? decoded : Effect.tap(decoded, keep(output))
  }

  const leave = (run: Run<PluginSpec>, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
    const { pass } = run
    run.pass = undefined
    return pass === undefined ? Effect.void : pass.leave(exit, run.now)
  }

  /** How many isolates of a plugin would not die, when that was last looked at. */
  const lingering = new Map<string, number>()

  /** What is left to do once a run has ended in whatever way: the next in the queue may have its place then. */
  const settle = (run: Run<PluginSpec>, exit: Exit.Exit<unknown, PluginError>): Effect.Effect<void> => {
    const { spec, begun } = run
    const release = (): void => {
      metrics.of(spec).ended({
        outcome: outcomeOf(exit),
        queued: begun === undefined ? undefined : begun - run.since,
        ran: begun === undefined ? undefined : performance.now() - begun,
        bytesIn: begun === undefined ? 0 : run.asked.text.length,
        bytesOut: run.outputLength
      })
      queueOf(spec).release(run.place)
    }
    const left = leave(run, exit)
    if (Exit.isSuccess(exit) && exitOf(left) !== undefined) {
      release()
      return left
    }
    return Effect.andThen(
      left,
      Effect.suspend(() => {
        const zombies = workers.zombies(spec.name)
        const more = zombies > (lingering.get(spec.name) ?? 0)
        lingering.set(spec.name, zombies)
        // An isolate that would not die opens its plugin's circuit at once, whatever its count.
        return Effect.map(more ? breaker.trip(spec.name) : Effect.void, release)
      })
    )
  }

  /** Through the breaker to an isolate; again, should the isolate's use end before the run began. */
  const attempt = <Spec extends PluginSpec>(run: Run<Spec>): Effect.Effect<OutputOf<Spec>, PluginError> =>
    Effect.suspend(() => breaker.enter(run.spec.name, run.spec.breaker, run.now)).pipe(
      Effect.flatMap((pass): Effect.Effect<string, PluginError | NotBegun> => {
        run.pass = pass
        return workers.run(run.spec, run.asked.text, run)
      }),
      Effect.flatMap((output) => decoded(run, output)),
      Effect.catchTag("NotBegun", (error) => startOver(run, error))
    )

  /** In the plugin's queue; the breaker is asked before it too, so that nobody waits for a refusal. */
  const wholeWay = <Spec extends PluginSpec>(run: Run<Spec>): Effect.Effect<OutputOf<Spec>, PluginError> =>
    run.place.state === "taken"
      ? attempt(run)
      : breaker
          .check(run.spec.name)
          .pipe(Effect.andThen(queueOf(run.spec).take(run.place)), Effect.andThen(attempt(run)))

  /** Starts over when an isolate's use ended before the run began, with the place that it has in the queue. */
  const startOver = <Spec extends PluginSpec>(
    run: Run<Spec>,
    notBegun: NotBegun
  ): Effect.Effect<OutputOf<Spec>, PluginError> =>
    Effect.andThen(
      leave(run, Exit.fail(notBegun)),
      Effect.suspend(() => {
        run.begun = undefined
        return wholeWay(run)
      })
    )

  /**
   * To an isolate that is ready, in one step: without a fiber's turns between queue, breaker, isolate and decoder a run
   * costs half. Where anything is not as it mostly is, it goes the whole way.
   */
  const directly = <Spec extends PluginSpec>(run: Run<Spec>): Effect.Effect<OutputOf<Spec>, PluginError> =>
    Effect.callback<OutputOf<Spec>, PluginError>((resume) => {
      const { spec } = run
      if (!queueOf(spec).tryTake(run.place)) return resume(wholeWay(run))
      const entered = breaker.enter(spec.name, spec.breaker, run.now)
      const pass = successOf(entered)
      if (pass === undefined) return resume(wholeWay(run))
      run.pass = pass.value
      const giveUp = workers.hand(spec, run.asked.text, run, (answer) => {
        const output = successOf(answer)
        if (output !== undefined) return resume(decoded(run, output.value))
        resume(
          Effect.flatMap(answer, (output) => decoded(run, output)).pipe(
            Effect.catchTag("NotBegun", (error) => startOver(run, error))
          )
        )
      })
      if (giveUp === undefined) resume(startOver(run, new NotBegun()))
      return giveUp
    })

  const start = <Spec extends PluginSpec>(
    asked: ConstructorParameters<typeof Run<Spec>>[0]
  ): Effect.Effect<OutputOf<Spec>, PluginError> =>
    Effect.withFiber((fiber) => {
      const run = new Run(asked, fiber)
      return Effect.onExit(directly(run), (exit) => settle(run, exit))
    })

  const run = <Spec extends PluginSpec>(
    spec: Spec,
    input: InputOf<Spec>
  ): Effect.Effect<OutputOf<Spec>, PluginError> =>
    Effect.suspend(() => {
      const problem = problemOf(spec)
      if (problem !== undefined) return refused(spec, problem)
      const id = `${spec.name}#${++runs}`
      const made = Effect.flatMap(encodeInput(spec, input), (text) =>
        spec.cache && cachedRuns !== undefined
          ? cachedRuns.cached(spec, text, {
              decode: (output) => decodeOutput<InputOf<Spec>, OutputOf<Spec>>(spec, input, output),
              run: (pinned, keep) => start({ spec: pinned, input, text, id, keep }),
              onResult: (result) => metrics.of(spec).cached(result === "hit")
            })
          : start({ spec, input, text, id })
      )
      return withRunSpan(spec, id)(made)
    })

  return PluginRuntime.of({
    run,
    tryRun: (spec, input) =>
      Effect.andThen(
        Effect.suspend(() => {
          const { waiting } = queueOf(spec)
          return waiting < spec.limits.queue
            ? Effect.void
            : Effect.fail(new QueueFull({ plugin: spec.name, waiting }))
        }),
        run(spec, input)
      ),
    runAll: (specs, input, options) =>
      Effect.forEach(
        specs,
        (spec) => Effect.map(Effect.result(run(spec, input)), (result) => ({ spec, result })),
        { concurrency: options?.concurrency ?? 8 }
      ),
    load: (spec) =>
      Effect.suspend(() => {
        const problem = problemOf(spec)
        if (problem !== undefined) return refused(spec, problem)
        // Cached runs are pinned: an isolate that loaded the spec as it is would serve none of them.
        return spec.cache && cachedRuns !== undefined
          ? Effect.flatMap(cachedRuns.pinned(spec), workers.load)
          : workers.load(spec)
      })
  })
})
