/** The isolates that are warm for one plugin, and who waits for another. */
import type { Warm } from "./Warm.ts"

export class Shelf {
  readonly warms = new Set<Warm>()
  loading = 0
  #waiting: Array<() => void> = []

  /** Isolates that run something or can: those that are handed nothing further finish what they have. */
  get taken(): number {
    let taken = 0
    for (const warm of this.warms) if (warm.open || warm.draining) taken++
    return taken
  }

  /** Whether nothing is on it, nor on its way to it. */
  get isBare(): boolean {
    return this.warms.size === 0 && this.loading === 0
  }

  /** The one with the least to do. */
  least(): Warm | undefined {
    let least: Warm | undefined
    for (const warm of this.warms) {
      if (warm.open && (least === undefined || warm.handed < least.handed)) least = warm
    }
    return least
  }

  endLoad(): void {
    this.loading--
    this.#tell()
  }

  remove(warm: Warm): void {
    if (this.warms.delete(warm)) this.#tell()
  }

  #tell(): void {
    const waiting = this.#waiting
    this.#waiting = []
    // Whoever had it loaded goes first.
    queueMicrotask(() => {
      for (const tell of waiting) tell()
    })
  }

  /** Calls back once, when a load has ended, whatever came of it, or an isolate is gone; answers how to forget about it. */
  onChange(tell: () => void): () => void {
    this.#waiting.push(tell)
    return () => {
      this.#waiting = this.#waiting.filter((waiting) => waiting !== tell)
    }
  }
}
