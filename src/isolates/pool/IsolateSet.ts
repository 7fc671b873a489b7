/** The isolates of one plugin, and which of them takes the next run. */
import { Duration } from "effect"
import type { PluginIsolate } from "./PluginIsolate.ts"
import type { PoolOptions } from "./PoolHost.ts"

export class IsolateSet {
  readonly #isolates = new Set<PluginIsolate>()
  /** Milliseconds. */
  readonly #maxAge: number
  readonly #maxRuns: number

  constructor({ maxAge, maxRuns }: Pick<PoolOptions, "maxAge" | "maxRuns">) {
    this.#maxAge = Duration.toMillis(maxAge)
    this.#maxRuns = maxRuns
  }

  add(isolate: PluginIsolate): void {
    this.#isolates.add(isolate)
  }

  /** `false` if it was not there. */
  delete(isolate: PluginIsolate): boolean {
    return this.#isolates.delete(isolate)
  }

  /** Runs that they hold. */
  get handed(): number {
    let handed = 0
    for (const isolate of this.#isolates) handed += isolate.handed
    return handed
  }

  /** How many count against the spec's `concurrency`: one that takes no more runs still finishes those that it has. */
  get occupied(): number {
    let occupied = 0
    for (const isolate of this.#isolates) if (isolate.open || isolate.draining) occupied++
    return occupied
  }

  /** The isolate with the fewest runs. Retires those that are too old or have had too many runs. */
  least(now: number): PluginIsolate | undefined {
    for (let least = this.#leastOpen(); least !== undefined; least = this.#leastOpen()) {
      if (now - least.born <= this.#maxAge && least.runs + least.handed < this.#maxRuns) return least
      least.retire()
    }
    return undefined
  }

  #leastOpen(): PluginIsolate | undefined {
    let least: PluginIsolate | undefined
    for (const isolate of this.#isolates) {
      if (isolate.open && (least === undefined || isolate.handed < least.handed)) least = isolate
    }
    return least
  }
}
