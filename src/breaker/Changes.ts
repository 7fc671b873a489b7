/** Announces transitions of circuits to subscribers, at once and in order. A slow subscriber never delays a run. */
import { Array as Arr, type Cause, Effect, Queue, type Scope, Stream } from "effect"
import type { BreakerState } from "./Circuit.ts"

/** One circuit went from one state to another. */
export interface BreakerChange {
  readonly name: string
  readonly from: BreakerState
  readonly to: BreakerState
}

/** The most changes that wait for a subscriber. If there are more, it loses the oldest. */
const buffered = 256

type Subscriber = Queue.Queue<BreakerChange, Cause.Done>

export class Changes {
  readonly #subscribers = new Set<Subscriber>()
  #hasEnded = false

  publish(change: BreakerChange): void {
    for (const subscriber of this.#subscribers) Queue.offerUnsafe(subscriber, change)
  }

  /** Ends the streams of all subscribers, also of later ones. */
  end(): void {
    this.#hasEnded = true
    for (const subscriber of this.#subscribers) Queue.endUnsafe(subscriber)
  }

  readonly #subscribe: Effect.Effect<Subscriber, never, Scope.Scope> = Effect.acquireRelease(
    Effect.map(
      Queue.make<BreakerChange, Cause.Done>({ capacity: buffered, strategy: "sliding" }),
      (subscriber) => {
        this.#subscribers.add(subscriber)
        if (this.#hasEnded) Queue.endUnsafe(subscriber)
        return subscriber
      }
    ),
    (subscriber) => Effect.sync(() => this.#subscribers.delete(subscriber))
  )

  /** Changes from the subscription on. Taken one by one, because the bound does not count those in a chunk. */
  readonly stream: Stream.Stream<BreakerChange> = Stream.unwrap(
    Effect.map(this.#subscribe, (subscriber) =>
      Stream.fromPull(Effect.succeed(Effect.map(Queue.take(subscriber), Arr.of)))
    )
  )
}

/** Ends with the scope. */
export const makeChanges: Effect.Effect<Changes, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => new Changes()),
  (changes) => Effect.sync(() => changes.end())
)
