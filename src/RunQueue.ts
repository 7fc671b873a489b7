/** The runs of one plugin, first come, first served: so many are on their way to an isolate, the others wait. */
import { Effect } from "effect"

interface Waiting {
  resume: (turn: Effect.Effect<void>) => void
  next: Waiting | undefined
  /** Whether it waits no longer. */
  gone: boolean
}

export class RunQueue {
  #free: number
  /** How many wait. */
  waiting = 0
  #first: Waiting | undefined
  #last: Waiting | undefined

  constructor(places: number) {
    this.#free = places
  }

  /** Takes a place, if nobody has to wait for one; whoever has one gives it back with `release`. */
  tryTake(): boolean {
    if (this.#free === 0) return false
    this.#free--
    return true
  }

  /** Waits for a place; interruption gives up the wait, or the place if it has just come. */
  readonly take: Effect.Effect<void> = Effect.suspend(() => {
    const waiting: Waiting = { resume: () => {}, next: undefined, gone: false }
    return Effect.callback<void>((resume) => {
      if (this.tryTake()) {
        waiting.gone = true
        return resume(Effect.void)
      }
      waiting.resume = resume
      if (this.#last === undefined) this.#first = waiting
      else this.#last.next = waiting
      this.#last = waiting
      this.waiting++
    }).pipe(
      Effect.onInterrupt(() =>
        Effect.sync(() => {
          if (waiting.gone) return this.release()
          waiting.gone = true
          this.waiting--
        })
      )
    )
  })

  release(): void {
    let first = this.#first
    while (first?.gone === true) first = first.next
    this.#first = first?.next
    if (this.#first === undefined) this.#last = undefined
    if (first === undefined) {
      this.#free++
      return
    }
    first.gone = true
    this.waiting--
    first.resume(Effect.void)
  }
}
