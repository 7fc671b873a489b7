/**
 * How much of the host's event loop the network may take. Whatever comes over it is worked off in slices: a few
 * milliseconds in one turn of the loop, the plugins in turn, each within its share; a run has a budget in all.
 */
import { type FetchProblem, problem } from "./problem.ts"

/** Milliseconds of slices in one turn of the event loop; the last slice may run over. */
const turnTime = 4

/** Milliseconds of the host's processor that the requests of one run may take. */
export const runTime = 500

/** Requests that one run may make, redirects included. */
export const runRequests = 500

/** The share of the host's processor that one plugin's requests may take, and all of them together. */
const pluginShare = 1 / 3
const wholeShare = 1 / 2

/** Milliseconds that may be taken at once before a share is looked at. */
const burst = 50

/** Processor time of this thread in milliseconds; a clock's where the engine does not tell. */
const processorTime = (): number => {
  if (typeof process.threadCpuUsage !== "function") return performance.now()
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Time that comes back at a rate: a token bucket of milliseconds. */
class Allowance {
  readonly #share: number
  #left = burst
  #at = performance.now()

  constructor(share: number) {
    this.#share = share
  }

  /** Milliseconds until there is some again. */
  get wait(): number {
    const now = performance.now()
    this.#left = Math.min(burst, this.#left + (now - this.#at) * this.#share)
    this.#at = now
    return this.#left > 0 ? 0 : -this.#left / this.#share
  }

  take(time: number): void {
    this.#left -= time
  }
}

/** Takes the slices of all plugins in turn. */
class Slices {
  readonly #whole = new Allowance(wholeShare)
  /** Those with slices to take, in the order of their turns. */
  readonly #ready = new Set<PluginTime>()
  #scheduled = false
  #timer: NodeJS.Timeout | undefined

  add(plugin: PluginTime): void {
    this.#ready.add(plugin)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#turn)
  }

  charge(time: number): void {
    this.#whole.take(time)
  }

  readonly #turn = (): void => {
    this.#scheduled = false
    clearTimeout(this.#timer)
    const started = performance.now()
    let wait = Number.POSITIVE_INFINITY
    // One that is added again comes again, after the others.
    for (const plugin of this.#ready) {
      const own = Math.max(plugin.wait, this.#whole.wait)
      wait = Math.min(wait, own)
      if (own > 0) continue
      this.#ready.delete(plugin)
      if (plugin.takeSlice()) this.#ready.add(plugin)
      if (performance.now() - started >= turnTime) {
        wait = 0
        break
      }
    }
    if (this.#ready.size === 0) return
    if (wait === 0) this.#schedule()
    // Whoever waits for the request keeps the host alive, if anybody does.
    else this.#timer = setTimeout(this.#turn, Math.ceil(wait)).unref()
  }
}

const slices = new Slices()

/** What one plugin's requests take of the host, whichever of its runs make them. */
export class PluginTime {
  readonly #allowance = new Allowance(pluginShare)
  readonly #waiting: Array<() => void> = []

  get wait(): number {
    return this.#allowance.wait
  }

  queue(slice: () => void): void {
    this.#waiting.push(slice)
    slices.add(this)
  }

  /** Whether more are waiting. */
  takeSlice(): boolean {
    this.#waiting.shift()?.()
    return this.#waiting.length > 0
  }

  charge(time: number): void {
    this.#allowance.take(time)
    slices.charge(time)
  }
}

/** What the requests of one run may take. */
export class RunTime {
  readonly #plugin: PluginTime
  readonly #onSpent: () => void
  #requests = 0
  #used = 0

  /** `onSpent` is called once, when the budget is spent. */
  constructor(plugin: PluginTime, onSpent: () => void) {
    this.#plugin = plugin
    this.#onSpent = onSpent
  }

  /** Why the run can make no further request, if it cannot. */
  get spent(): FetchProblem | undefined {
    return this.#used > runTime
      ? problem(`the requests of this run took more than ${runTime} ms of the host's processor time`)
      : undefined
  }

  /** Whether it takes the host's time although its budget has been spent for long. */
  get overdrawn(): boolean {
    return this.#used > 2 * runTime
  }

  /** Counts a request; answers why it cannot be made, if it cannot. */
  request(): FetchProblem | undefined {
    this.#requests++
    return this.#requests > runRequests
      ? problem(`one run cannot make more than ${runRequests} requests, redirects included`)
      : this.spent
  }

  /** Takes a slice when it is this plugin's turn; `failed` is told what it throws, which is nobody else's. */
  queue(slice: () => void, failed: (error: Error) => void): void {
    this.#plugin.queue(() => {
      try {
        this.measure(slice)
      } catch (error) {
        failed(error instanceof Error ? error : new Error(String(error)))
      }
    })
  }

  /** Does work that cannot wait for its turn, and counts what it takes. */
  measure<A>(work: () => A): A {
    const before = processorTime()
    try {
      return work()
    } finally {
      const time = processorTime() - before
      const left = this.#used <= runTime
      this.#used += time
      this.#plugin.charge(time)
      if (left && this.#used > runTime) this.#onSpent()
    }
  }
}
