/** The runs of one plugin, first come, first served: so many are on their way to an isolate, the others wait. */
import { Effect } from "effect"

/** One run's place: none yet, waited for, taken, or given back. */
export class Place {
  state: "none" | "waiting" | "taken" = "none"
  next: Place | undefined
  resume: (turn: Effect.Effect<void>) => void = () => {}
}

export class RunQueue {
  #free: number
  #waiting = 0
  #first: Place | undefined
  #last: Place | undefined

  constructor(places: number) {
    this.#free = places
  }

  /** How many wait for a place. */
  get waiting(): number {
    return this.#waiting
  }

  /** Takes a place, if nobody has to wait for one. */
  tryTake(place: Place): boolean {
    if (this.#free === 0) return false
    this.#free--
    place.state = "taken"
    return true
  }

  /** Waits for a place; interruption only stops the waiting, `release` gives up the place itself. */
  take(place: Place): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.tryTake(place)) return resume(Effect.void)
      place.state = "waiting"
      place.resume = resume
      if (this.#last === undefined) this.#first = place
      else this.#last.next = place
      this.#last = place
      this.#waiting++
    })
  }

  /** Gives a place to who waits longest, or gives up the wait for one. */
  release(place: Place): void {
    const { state } = place
    place.state = "none"
    if (state === "waiting") this.#waiting--
    if (state !== "taken") return
    for (let first = this.#first; first !== undefined; first = this.#first) {
      this.#first = first.next
      if (this.#first === undefined) this.#last = undefined
      if (first.state !== "waiting") continue
      this.#waiting--
      first.state = "taken"
      return first.resume(Effect.void)
    }
    this.#free++
  }
}
