/** A run under way: what was asked, where it has got to, and what the pool and the metrics are told of it. */
import { Clock, type Effect, type Fiber } from "effect"
import type { Pass } from "./CircuitBreaker.ts"
import type { PluginError } from "./Errors.ts"
import type { PluginRecorder, RunOutcome } from "./Metrics.ts"
import type { InputOf, PluginSpec } from "./Plugin.ts"
import { traceparentOf } from "./telemetry/tracing.ts"
import type { PreparedPlugin, Submission } from "./WorkerLayer.ts"

/** A spec and what it has come to on this host. */
export interface Plugin {
  readonly spec: PluginSpec
  readonly workers: PreparedPlugin
  readonly metrics: PluginRecorder
}

interface Asked<Spec extends PluginSpec> {
  readonly spec: Spec
  readonly value: InputOf<Spec>
  /** The value's JSON, as the plugin is given it. */
  readonly input: string
  /** What its log lines and its span call it. */
  readonly id: string
  /** Keeps an output that was decoded. */
  readonly keep?: (output: string) => Effect.Effect<void>
}

/** What the circuit breaker has to do with a run. */
export interface RunCircuit {
  /** Lets it in, or refuses it. */
  readonly enter: (run: Run<PluginSpec>) => Effect.Effect<void, PluginError>
  /** Is told that its isolate crashed after it had returned. */
  readonly crashed: (run: Run<PluginSpec>) => void
}

export class Run<Spec extends PluginSpec> implements Submission {
  readonly plugin: Plugin
  readonly asked: Asked<Spec>
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly traceparent: string | undefined
  begun: number | undefined
  /** Of the circuit breaker, once it is let in. */
  pass: Pass | undefined
  outputLength = 0
  answer: Submission["answer"] = () => {}
  readonly #since = performance.now()
  readonly #circuit: RunCircuit

  constructor(plugin: Plugin, asked: Asked<Spec>, fiber: Fiber.Fiber<unknown, unknown>, circuit: RunCircuit) {
    this.plugin = plugin
    this.asked = asked
    this.fiber = fiber
    this.traceparent = traceparentOf(fiber)
    this.#circuit = circuit
  }

  get spec(): Spec {
    return this.asked.spec
  }

  get input(): string {
    return this.asked.input
  }

  get labels(): Submission["labels"] {
    return { plugin: this.asked.spec.name, run: this.asked.id }
  }

  /** By the caller's clock, in milliseconds since the epoch. */
  get now(): number {
    return this.fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
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
    const { begun } = this
    this.plugin.metrics.ended({
      outcome,
      queued: begun === undefined ? undefined : begun - this.#since,
      ran: begun === undefined ? undefined : performance.now() - begun,
      bytesIn: begun === undefined ? 0 : this.asked.input.length,
      bytesOut: this.outputLength
    })
  }
}
