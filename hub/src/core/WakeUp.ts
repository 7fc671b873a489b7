/** Wakes a loop when there is something to do. */
import { Effect, Latch } from "effect"

/**
 * Wakes one loop. A wake-up is kept until the loop asks for it, and several count as one.
 *
 * **Details**: `next` takes the wake-up before the loop looks for work. A wake-up that comes while the loop works makes
 * it look once more, so no work is missed.
 *
 * @example
 * ```ts
 * const work = new WakeUp()
 * yield* Effect.forkScoped(Effect.forever(Effect.andThen(work.next, doAll)))
 * work.ring()
 * ```
 */
export class WakeUp {
  readonly #latch = Latch.makeUnsafe(false)

  readonly ring = (): void => void this.#latch.openUnsafe()

  /** Waits for a wake-up and takes it. */
  readonly next: Effect.Effect<void> = Effect.map(this.#latch.await, () => void this.#latch.closeUnsafe())
}
