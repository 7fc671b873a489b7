/** Runs plugins: breaker, isolate, deadline, validation and telemetry, in that order. */
import {
  Context,
  Effect,
  Exit,
  Layer,
  Predicate,
  type Result,
  Schema,
  type SchemaIssue,
  SchemaParser
} from "effect"
import { CircuitBreaker } from "./CircuitBreaker.ts"
import { ExecutionError, LoadError, type PluginError } from "./Errors.ts"
import type { PluginInfo } from "./guest/protocol.ts"
import { decodeOutput } from "./Output.ts"
import { type AnyKind, type InputOf, type OutputOf, type PluginSpec, specProblem } from "./Plugin.ts"
import { RunQueue } from "./RunQueue.ts"
import { traceparentOf, withRunSpan } from "./telemetry/tracing.ts"
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
  static readonly layer: Layer.Layer<PluginRuntime, never, CircuitBreaker | WorkerLayer> = Layer.effect(
    PluginRuntime,
    Effect.suspend(() => make)
  )
}

type Encode = (input: unknown) => Effect.Effect<unknown, SchemaIssue.Issue>
const encoders = new WeakMap<AnyKind, Encode>()
const encoderOf = (kind: AnyKind): Encode => {
  const known = encoders.get(kind)
  if (known !== undefined) return known
  const encode = SchemaParser.encodeUnknownEffect(kind.input)
  encoders.set(kind, encode)
  return encode
}

/** The input's JSON. An input that its kind refuses is the caller's mistake, not the plugin's. */
const encodeInput = (spec: PluginSpec, input: unknown): Effect.Effect<string, ExecutionError> => {
  const invalid = (why: string): Effect.Effect<never, ExecutionError> =>
    Effect.fail(
      new ExecutionError({
        plugin: spec.name,
        cause: { name: "InvalidInput", message: `the input is not a ${spec.kind.name}'s: ${why}` }
      })
    )
  const write = (encoded: unknown): Effect.Effect<string, ExecutionError> => {
    // The spec's config joins it on the way, as one more field.
    if (!Predicate.isObject(encoded) || Array.isArray(encoded)) return invalid("it must be an object")
    try {
      return Effect.succeed(JSON.stringify(encoded))
    } catch (error) {
      return invalid(String(error))
    }
  }
  const encoded = encoderOf(spec.kind)(input)
  // As it is with all schemas that wait for nothing: no fiber has to look at it.
  if (Exit.isExit(encoded) && Exit.isSuccess(encoded)) return write(encoded.value)
  return Effect.matchEffect(encoded, {
    onFailure: (issue) => invalid(new Schema.SchemaError(issue).message),
    onSuccess: write
  })
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
    call: Call
  ): Effect.Effect<OutputOf<Spec>, PluginError> =>
    Effect.withFiber((fiber) => {
      const traceparent = traceparentOf(fiber)
      if (traceparent !== undefined) call.traceparent = traceparent
      const lingering = workers.zombies(spec.name)
      return Effect.flatMap(workers.run(spec, text, call), (output) =>
        decodeOutput<InputOf<Spec>, OutputOf<Spec>>(spec, input, output)
      ).pipe(
        // An isolate that would not die opens its plugin's circuit at once, whatever its count.
        Effect.onError(() => (workers.zombies(spec.name) > lingering ? breaker.trip(spec.name) : Effect.void))
      )
    }).pipe(
      breaker.protect(spec.name, spec.breaker),
      Effect.catchTag("NotBegun", () => attempt(spec, input, text, call))
    )

  const run = <Spec extends PluginSpec>(
    spec: Spec,
    input: InputOf<Spec>
  ): Effect.Effect<OutputOf<Spec>, PluginError> =>
    Effect.suspend(() => {
      const problem = problemOf(spec)
      if (problem !== undefined) return refused(spec, problem)
      const call: Call = { labels: { plugin: spec.name, run: `${spec.name}#${++runs}` } }
      const queue = queueOf(spec)
      return Effect.uninterruptibleMask((restore) => {
        const work = Effect.onExit(
          restore(Effect.flatMap(encodeInput(spec, input), (text) => attempt(spec, input, text, call))),
          () => Effect.sync(() => queue.release())
        )
        if (queue.tryTake()) return work
        // Asked before the queue too, so that nobody waits for a refusal.
        return Effect.andThen(restore(Effect.andThen(breaker.check(spec.name), queue.take)), work)
      }).pipe(withRunSpan(spec, call.labels.run))
    })

  return PluginRuntime.of({
    run,
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
