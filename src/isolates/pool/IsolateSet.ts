/** The isolates of one plugin, and which of them takes the next run. */
import { Duration } from "effect"
import type { PluginIsolate } from "./PluginIsolate.ts"
import type { PoolOptions } from "./PoolHost.ts"

/** Characters of runs from which on an isolate gets no more: they are in its plugin's memory until it has run them. */
const sizeAhead = 1024 * 1024

interface IsolateSetOptions extends Pick<PoolOptions, "maxAge" | "maxRuns"> {
  /** Runs that an isolate may hold. */
  readonly ahead: number
}

export class IsolateSet {
  readonly #isolates = new Set<PluginIsolate>()
  /** Milliseconds. */
  readonly #maxAge: number
  readonly #maxRuns: number
  readonly #ahead: number

  constructor({ maxAge, maxRuns, ahead }: IsolateSetOptions) {
    this.#maxAge = Duration.toMillis(maxAge)
    this.#maxRuns = maxRuns
    this.#ahead = ahead
  }

  add(isolate: PluginIsolate): void {
    this.#isolates.add(isolate)
  }

  /** `false` if it was not there. */
  delete(isolate: PluginIsolate): boolean {
    return this.#isolates.delete(isolate)
  }

  /** Places for runs that are taken: all of an isolate that is full, also if it is full by size. */
  get taken(): number {
    let taken = 0
    for (const isolate of this.#isolates) {
      taken += isolate.open && this.isFull(isolate) ? this.#ahead : isolate.handed
    }
    return taken
  }

  isFull({ handed, handedSize }: PluginIsolate): boolean {
    return handed >= this.#ahead || handedSize >= sizeAhead
  }

  /** How many count against the spec's `concurrency`: one that takes no more runs still finishes those that it has. */
  get occupied(): number {
    let occupied = 0
    for (const isolate of this.#isolates) if (isolate.open || isolate.draining) occupied++
    return occupied
  }

  /** The isolate with the fewest runs, a full one only if all are. Retires those that are too old or have had too many. */
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
      if (isolate.open && (least === undefined || this.#isBefore(isolate, least))) least = isolate
    }
    return least
  }

  #isBefore(isolate: PluginIsolate, other: PluginIsolate): boolean {
    const isFull = this.isFull(isolate)
    return isFull === this.isFull(other) ? isolate.handed < other.handed : !isFull
  }
}
