/**
 * Which isolates boot, load or run now. A spare boots in the background if they are fewer than the machine's cores: beside
 * busy isolates it would delay their runs. A run that only waits, for example for a `fetch`, counts, because the host does
 * not know that it waits. A killed isolate that still spins does not count.
 */
import { Effect } from "effect"
import * as os from "node:os"

/** Milliseconds between two looks for a free core. */
const lookInterval = 10

/** Milliseconds after which a spare boots although no core is free. */
const defaultPatience = 2_000

export class Cores {
  readonly count: number
  readonly #patience: number
  readonly #users = new Set<object>()
  /** When the last wait for a core ended. */
  #lastEnd = Number.NEGATIVE_INFINITY

  constructor(count = os.availableParallelism(), patience = defaultPatience) {
    this.count = count
    this.#patience = patience
  }

  /** It boots, loads or runs from now on. */
  enter(user: object): void {
    this.#users.add(user)
  }

  /** May be called more than once. */
  leave(user: object): void {
    this.#users.delete(user)
  }

  get #isFree(): boolean {
    return this.#users.size < this.count
  }

  /**
   * Waits for a free core, but not for ever: if none becomes free, one of the waits ends after each `patience`. It looks
   * now and then, because between two runs that follow each other an isolate is idle only for an instant.
   */
  readonly free: Effect.Effect<void> = Effect.callback<void>((resume) => {
    const began = performance.now()
    const isOver = (): boolean => {
      const now = performance.now()
      if (!this.#isFree && now - Math.max(began, this.#lastEnd) < this.#patience) return false
      this.#lastEnd = now
      return true
    }
    if (isOver()) return resume(Effect.void)
    const timer = setInterval(() => {
      if (!isOver()) return
      clearInterval(timer)
      resume(Effect.void)
    }, lookInterval).unref()
    return Effect.sync(() => clearInterval(timer))
  })
}
