/** The memory that warm isolates of all plugins may take together: those that were not used for longest go first. */
import type { Warm } from "./Warm.ts"

export class WarmBudget {
  /** MiB. */
  readonly #limit: number
  #weight = 0
  readonly #weights = new Map<Warm, number>()
  /** Those with nothing to do, the longest unused first. */
  readonly #idle = new Set<Warm>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** `weight` in MiB. */
  add(warm: Warm, weight: number): void {
    this.#weights.set(warm, weight)
    this.#weight += weight
    this.#trim()
  }

  busy(warm: Warm): void {
    this.#idle.delete(warm)
  }

  idle(warm: Warm): void {
    if (!this.#weights.has(warm)) return
    this.#idle.delete(warm)
    this.#idle.add(warm)
    this.#trim()
  }

  remove(warm: Warm): void {
    this.#weight -= this.#weights.get(warm) ?? 0
    this.#weights.delete(warm)
    this.#idle.delete(warm)
  }

  #trim(): void {
    for (const warm of this.#idle) {
      if (this.#weight <= this.#limit) return
      warm.retire()
    }
  }
}
