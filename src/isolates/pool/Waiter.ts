/** Something that waits for an isolate of a plugin: a run (`PoolRun`), or a caller of `load`. */
import { Clock, type Duration, Effect, Fiber } from "effect"
import type { PluginError } from "../../Errors.ts"
import type { PluginInfo } from "../../wire/messages.ts"
import type { PluginIsolate } from "./PluginIsolate.ts"
import type { Labels } from "./PoolHost.ts"
import { QueuePlace } from "./RunQueue.ts"

export abstract class Waiter extends QueuePlace {
  /** The caller's. */
  abstract readonly fiber: Fiber.Fiber<unknown, unknown>
  /** Annotations of log lines. */
  abstract readonly labels: Labels
  /** How long a load for it may take. */
  abstract readonly timeout: Duration.Duration
  /** Whether it was answered or cancelled. */
  isOver = false
  /** What the pool does for it before an isolate has it: readmission, a boot, a check for changed files. */
  work: Fiber.Fiber<unknown> | undefined

  abstract readonly clock: Clock.Clock

  /** Milliseconds since the epoch, by the caller's clock. */
  get now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  /** Gives it to an isolate. */
  abstract take(isolate: PluginIsolate): void

  abstract fail(error: Effect.Effect<never, PluginError>): void

  /** `undefined` if it may still go on after a wait, or an effect that finds out. */
  readmit(): Effect.Effect<void, PluginError> | undefined {
    return undefined
  }

  /** Stops everything that is done for it. */
  stop(): Effect.Effect<void> {
    return this.work === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(this.work))
  }
}

/** A call of `load`. */
interface LoadCall {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly labels: Labels
  readonly timeout: Duration.Duration
  readonly answer: (answer: Effect.Effect<PluginInfo, PluginError>) => void
}

export class WaitingLoad extends Waiter {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly labels: Labels
  readonly timeout: Duration.Duration
  readonly clock: Clock.Clock
  readonly #answer: LoadCall["answer"]

  constructor(number: number, { fiber, labels, timeout, answer }: LoadCall) {
    super(number)
    this.fiber = fiber
    this.labels = labels
    this.timeout = timeout
    this.clock = fiber.getRef(Clock.Clock)
    this.#answer = answer
  }

  take(isolate: PluginIsolate): void {
    isolate.left()
    this.isOver = true
    this.#answer(Effect.succeed(isolate.info))
  }

  fail(error: Effect.Effect<never, PluginError>): void {
    if (this.isOver) return
    this.isOver = true
    this.#answer(error)
  }
}
