/** Runs plugins: breaker, isolate, deadline, validation and telemetry, in that order. */
import { Context, Effect, Layer, Option, type Result } from "effect"
import { CircuitBreaker } from "./CircuitBreaker.ts"
import { LoadError, type PluginError, QueueFull } from "./Errors.ts"
import type { PluginInfo } from "./guest/protocol.ts"
import { encodeInput } from "./Input.ts"
import { metricsLayer, outcomeOf, PluginMetrics, type PluginStats } from "./Metrics.ts"
import { decodeOutput } from "./Output.ts"
import { type InputOf, type OutputOf, type PluginSpec, specProblem } from "./Plugin.ts"
import { makeCachedRuns, ResultCache } from "./ResultCache.ts"
import { Place, RunQueue } from "./RunQueue.ts"
import { traceparentOf, withRunSpan } from "./telemetry/tracing.ts"
import { watchBreaker } from "./telemetry/watchBreaker.ts"
import { type Call, WorkerLayer } from "./WorkerLayer.ts"

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

/** A run and what is counted of it. */
interface Measured extends Call {
  bytesIn: number
  bytesOut: number
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
  const cachedRuns = Option.isSome(cache) ? makeCachedRuns(cache.value) : undefined
  yield* watchBreaker
  let runs = 0

  /**
   * How many runs of a plugin may be on their way to an isolate. Processor time is counted from run to run: where it
   * is limited, none is handed over ahead.
   */
  const placesOf = ({ concurrency, limits, reuse }: PluginSpec): number =>
    reuse === "plugin" && limits.cpu === undefined ? concurrency * workers.handedAhead : concurrency

  const queues = new Map<string, RunQueue>()
  const queueOf = (spec: PluginSpec): RunQueue => {
    const places = placesOf(spec)
    const key = `${places} ${spec.name}`
    const known = queues.get(key)
    if (known !== undefined) return known
    const queue = new RunQueue(places)
    queues.set(key, queue)
    return queue
  }

  /** Through the breaker to an isolate; again, should the isolate's use end before the run began. */
  const attempt = <Spec extends PluginSpec>(
    spec: Spec,
    input: InputOf<Spec>,
    text: string,
    call: Measured,
    keep?: (output: string) => Effect.Effect<void>
  ): Effect.Effect<OutputOf<Spec>, PluginError> =>
    Effect.withFiber((fiber) => {
      const traceparent = traceparentOf(fiber)
      if (traceparent !== undefined) call.traceparent = traceparent
      call.bytesIn = text.length
      const lingering = workers.zombies(spec.name)
      return Effect.flatMap(workers.run(spec, text, call), (output) => {
        call.bytesOut = output.length
        const decoded = decodeOutput<InputOf<Spec>, OutputOf<Spec>>(spec, input, output)
        return keep === undefined ? decoded : Effect.tap(decoded, () => keep(output))
      }).pipe(
        // An isolate that would not die opens its plugin's circuit at once, whatever its count.
        Effect.onError(() => (workers.zombies(spec.name) > lingering ? breaker.trip(spec.name) : Effect.void))
      )
    }).pipe(
      breaker.protect(spec.name, spec.breaker),
      Effect.catchTag("NotBegun", () => attempt(spec, input, text, call, keep))
    )

  /** In the plugin's queue: `begin` once there is a place. What becomes of it is measured. */
  const queued = <A>(
    spec: PluginSpec,
    call: Measured,
    begin: Effect.Effect<A, PluginError>
  ): Effect.Effect<A, PluginError> =>
    Effect.uninterruptibleMask((restore) => {
      const queue = queueOf(spec)
      const place = new Place()
      const asked = performance.now()
      const turn = queue.tryTake(place)
        ? begin
        : // The breaker is asked before the queue too, so that nobody waits for a refusal.
          breaker.check(spec.name).pipe(Effect.andThen(queue.take(place)), Effect.andThen(begin))
      return Effect.onExit(restore(turn), (exit) =>
        Effect.sync(() => {
          queue.release(place)
          const { begun, bytesIn, bytesOut } = call
          metrics.of(spec).ended({
            outcome: outcomeOf(exit),
            queued: begun === undefined ? undefined : begun - asked,
            ran: begun === undefined ? undefined : performance.now() - begun,
            bytesIn,
            bytesOut
          })
        })
      )
    })

  const run = <Spec extends PluginSpec>(
    spec: Spec,
    input: InputOf<Spec>
  ): Effect.Effect<OutputOf<Spec>, PluginError> =>
    Effect.suspend(() => {
      const problem = problemOf(spec)
      if (problem !== undefined) return refused(spec, problem)
      const call: Measured = {
        labels: { plugin: spec.name, run: `${spec.name}#${++runs}` },
        bytesIn: 0,
        bytesOut: 0
      }
      const encoded = encodeInput(spec, input)
      const made =
        spec.cache && cachedRuns !== undefined
          ? Effect.flatMap(encoded, (text) =>
              cachedRuns.cached(spec, text, {
                decode: (output) => decodeOutput<InputOf<Spec>, OutputOf<Spec>>(spec, input, output),
                run: (pinned, keep) => queued(pinned, call, attempt(pinned, input, text, call, keep)),
                onResult: (result) => metrics.of(spec).cached(result === "hit")
              })
            )
          : queued(
              spec,
              call,
              Effect.flatMap(encoded, (text) => attempt(spec, input, text, call))
            )
      return withRunSpan(spec, call.labels.run)(made)
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
        return problem === undefined ? workers.load(spec) : refused(spec, problem)
      })
  })
})
