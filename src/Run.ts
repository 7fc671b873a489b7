/** A run under way, on its way from the queue through the breaker to an isolate and back. */
import { Clock, type Effect, type Fiber } from "effect"
import type { Pass } from "./CircuitBreaker.ts"
import type { InputOf, PluginSpec } from "./Plugin.ts"
import { Place } from "./RunQueue.ts"
import { traceparentOf } from "./telemetry/tracing.ts"
import type { Call } from "./WorkerLayer.ts"

interface Asked<Spec extends PluginSpec> {
  readonly spec: Spec
  readonly input: InputOf<Spec>
  /** The input's JSON. */
  readonly text: string
  /** What its log lines and its span call it. */
  readonly id: string
  /** Keeps an output that was found right. */
  readonly keep?: (output: string) => Effect.Effect<void>
}

export class Run<Spec extends PluginSpec> implements Call {
  readonly asked: Asked<Spec>
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly traceparent: string | undefined
  readonly place = new Place()
  /** As `performance.now()` counts. */
  readonly since = performance.now()
  begun: number | undefined
  /** Of the circuit breaker, while it is let in. */
  pass: Pass | undefined
  outputLength = 0

  constructor(asked: Asked<Spec>, fiber: Fiber.Fiber<unknown, unknown>) {
    this.asked = asked
    this.fiber = fiber
    this.traceparent = traceparentOf(fiber)
  }

  get spec(): Spec {
    return this.asked.spec
  }

  get labels(): Call["labels"] {
    return { plugin: this.asked.spec.name, run: this.asked.id }
  }

  /** By the caller's clock, in milliseconds since the epoch. */
  get now(): number {
    return this.fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
  }
}
