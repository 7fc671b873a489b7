/** A run in progress: what was asked, its state, and what the pool and the metrics need of it. */
import { Clock, Effect, type Fiber } from "effect"
import type { Pass } from "./CircuitBreaker.ts"
import type { PluginError } from "./Errors.ts"
import { flatMapNow } from "./exits.ts"
import type { PluginRecorder, RunOutcome } from "./Metrics.ts"
import type { InputEncoder } from "./Input.ts"
import type { OutputDecoder } from "./Output.ts"
import type { InputOf, OutputOf, PluginSpec } from "./Plugin.ts"
import type { Cacheable, Kept } from "./ResultCache.ts"
import { CurrentRunObserver } from "./RunObserver.ts"
import { traceparentOf } from "./telemetry/tracing.ts"
import { type RunInput, sizeOf } from "./wire/runInput.ts"
import type { PreparedPlugin, Submission } from "./WorkerLayer.ts"

/** A prepared plugin: a spec, and everything that is looked up or made once for it on this host. */
export interface Plugin<Spec extends PluginSpec = PluginSpec> extends Cacheable<Spec> {
  readonly workers: PreparedPlugin
  readonly metrics: PluginRecorder
  readonly encode: InputEncoder
  readonly decode: OutputDecoder<Spec>
}

export interface Asked<Spec extends PluginSpec> {
  readonly value: InputOf<Spec>
  /** The value, as the plugin gets it. */
  readonly input: RunInput
  /** Counts the runtime's runs. */
  readonly number: number
  /** Caches an output that was decoded. */
  readonly keep?: (kept: Kept) => Effect.Effect<void>
}

/** What log lines and spans call a run. */
export const runId = (spec: PluginSpec, number: number): string => `${spec.name}#${number}`

/** A run, as the circuit breaker sees it. */
export interface GuardedRun {
  readonly spec: PluginSpec
  /** By the caller's clock, in milliseconds since the epoch. */
  readonly now: number
  /** Set when the breaker admits the run. */
  pass: Pass | undefined
}

/** What a run asks of the circuit breaker. */
export interface RunCircuit {
  /** Admits the run, or fails with `CIRCUIT_OPEN`. */
  readonly enter: (run: GuardedRun) => Effect.Effect<void, PluginError>
  /** Counts a crash of the isolate after the run has returned. */
  readonly crashed: (run: GuardedRun) => void
}

export class Run<Spec extends PluginSpec> implements Submission, GuardedRun {
  readonly plugin: Plugin<Spec>
  readonly asked: Asked<Spec>
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly traceparent: string | undefined
  begun: number | undefined
  version: string | undefined
  pass: Pass | undefined
  outputLength = 0
  /**
   * Ends the wait for the answer. Effect's own function is stored here: V8 allocates a function literal that is assigned
   * to a property in its old space, and then each scavenge keeps all that it refers to.
   */
  resume: (output: Effect.Effect<OutputOf<Spec>, PluginError>) => void = () => {}
  readonly #clock: Clock.Clock
  readonly #since = performance.now()
  readonly #circuit: RunCircuit

  constructor(
    plugin: Plugin<Spec>,
    asked: Asked<Spec>,
    fiber: Fiber.Fiber<unknown, unknown>,
    circuit: RunCircuit
  ) {
    this.plugin = plugin
    this.asked = asked
    this.fiber = fiber
    this.traceparent = traceparentOf(fiber)
    this.#clock = fiber.getRef(Clock.Clock)
    this.#circuit = circuit
  }

  get spec(): Spec {
    return this.plugin.spec
  }

  get input(): RunInput {
    return this.asked.input
  }

  get labels(): Submission["labels"] {
    return { plugin: this.spec.name, run: runId(this.spec, this.asked.number) }
  }

  get now(): number {
    return this.#clock.currentTimeMillisUnsafe()
  }

  /** Validates an output at once if there is one. */
  answer(answer: Effect.Effect<string, PluginError>): void {
    this.resume(flatMapNow(answer, (output) => this.decode(output)))
  }

  decode(output: string): Effect.Effect<OutputOf<Spec>, PluginError> {
    const { value, keep } = this.asked
    this.outputLength = output.length
    const decoded = this.plugin.decode(value, output)
    return keep === undefined ? decoded : Effect.tap(decoded, keep({ version: this.version, output }))
  }

  /** The circuit may have opened while it waited. */
  readmit(): Effect.Effect<void, PluginError> | undefined {
    return this.pass?.isCurrent() === true ? undefined : this.#circuit.enter(this)
  }

  leftover(): void {
    this.plugin.metrics.leftover()
  }

  crashed(): void {
    this.#circuit.crashed(this)
  }

  ended(outcome: RunOutcome): void {
    const { begun, version } = this
    const queued = begun === undefined ? undefined : begun - this.#since
    const ran = begun === undefined ? undefined : performance.now() - begun
    this.fiber.getRef(CurrentRunObserver)?.ended({ version, queued, ran })
    this.plugin.metrics.ended({
      outcome,
      queued,
      ran,
      bytesIn: begun === undefined ? 0 : sizeOf(this.asked.input),
      bytesOut: this.outputLength
    })
  }
}
