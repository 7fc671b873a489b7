/** Something that waits for an isolate of a plugin: a run (`PoolRun`), or a caller of `load`. */
import { Cause, Clock, Effect, Exit, Fiber } from "effect"
import type { PluginError } from "../../Errors.ts"
import type { Fork } from "../../Fork.ts"
import { runtimeClosed } from "../../modules/LoaderPool.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { PluginInfo } from "../../wire/messages.ts"
import { crashed } from "../isolate/pluginErrors.ts"
import type { PluginIsolate } from "./PluginIsolate.ts"
import { QueuePlace } from "./RunQueue.ts"

/** What was submitted to the pool. */
export interface Submitted {
  /** Its `timeout` counts: specs that share a pool may have different ones. */
  readonly spec: PluginSpec
  /** The caller's. */
  readonly fiber: Fiber.Fiber<unknown, unknown>
  /** Annotations of log lines. */
  readonly labels: { readonly [label: string]: string }
}

export abstract class Waiter<Of extends Submitted = Submitted> extends QueuePlace {
  readonly submission: Of
  readonly clock: Clock.Clock
  /** Whether it was answered or cancelled. */
  isOver = false
  /** What the pool does for it before an isolate has it. */
  #work: Fiber.Fiber<unknown> | undefined

  constructor(number: number, submission: Of) {
    super(number)
    this.submission = submission
    this.clock = submission.fiber.getRef(Clock.Clock)
  }

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

  /**
   * Runs an effect for it in the context of its caller: readmission, a boot, a check for changed files. `stop` interrupts
   * the effect.
   */
  perform<A>(
    effect: Effect.Effect<A, PluginError>,
    fork: Fork,
    done: (exit: Exit.Exit<A, PluginError>) => void
  ): void {
    const { spec, fiber } = this.submission
    let isDone = false
    const work = fork(
      effect.pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            isDone = true
            this.#work = undefined
            // Interrupted, but not by its caller: the level is closing.
            const isClosing = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) && !this.isOver
            done(isClosing ? Exit.fail(crashed(spec, { reason: runtimeClosed })) : exit)
          })
        ),
        Effect.exit,
        Effect.provideContext(fiber.context)
      )
    )
    if (!isDone) this.#work = work
  }

  /** Stops everything that is done for it. */
  stop(): Effect.Effect<void> {
    return this.#work === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(this.#work))
  }
}

/** A call of `load`. */
interface LoadCall extends Submitted {
  readonly answer: (answer: Effect.Effect<PluginInfo, PluginError>) => void
}

export class WaitingLoad extends Waiter<LoadCall> {
  take(isolate: PluginIsolate): void {
    isolate.left()
    this.isOver = true
    this.submission.answer(Effect.succeed(isolate.info))
  }

  fail(error: Effect.Effect<never, PluginError>): void {
    if (this.isOver) return
    this.isOver = true
    this.submission.answer(error)
  }
}
