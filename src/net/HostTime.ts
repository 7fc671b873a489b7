/**
 * Limits the host's time for the network. Received data is processed in slices: a few milliseconds per turn of the
 * event loop, in turn between plugins, each within its share. Each run also has a budget.
 */
import { type FetchProblem, problem } from "./problem.ts"

/** Milliseconds of slices in one turn of the event loop. The last slice may run over. */
const turnTime = 4

/** The host's processor time that the requests of one run may take, in milliseconds. */
export const runTime = 500

/** The most requests of one run, redirects included. */
export const runRequests = 500

/** The share of the host's processor that the requests of one plugin may take, and of all plugins together. */
const pluginShare = 1 / 3
const wholeShare = 1 / 2

/** Milliseconds that may be used at once before the share applies. */
const burst = 50

/** Processor time of this thread in milliseconds; the clock's time if the engine does not report it. */
const processorTime = (): number => {
  if (typeof process.threadCpuUsage !== "function") return performance.now()
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** A token bucket of milliseconds: time is used, and refills at a rate. */
class TimeBucket {
  readonly #share: number
  #left = burst
  #at = performance.now()

  constructor(share: number) {
    this.#share = share
  }

  /** Milliseconds until time is available again. */
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

/** Runs the slices of all plugins in turn. */
class Slices {
  readonly #whole = new TimeBucket(wholeShare)
  /** Plugins with waiting slices, in the order of their turns. */
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
    // A plugin that is added again gets its next slice after the others.
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
    // Unreferenced, because only the run that waits for a request keeps the host alive.
    else this.#timer = setTimeout(this.#turn, Math.ceil(wait)).unref()
  }
}

const slices = new Slices()

/** The host's time for one plugin's requests, shared by all of its runs. */
export class PluginTime {
  readonly #bucket = new TimeBucket(pluginShare)
  readonly #waiting: Array<() => void> = []

  get wait(): number {
    return this.#bucket.wait
  }

  queue(slice: () => void): void {
    this.#waiting.push(slice)
    slices.add(this)
  }

  /** Runs the next slice. Returns whether more are waiting. */
  takeSlice(): boolean {
    this.#waiting.shift()?.()
    return this.#waiting.length > 0
  }

  charge(time: number): void {
    this.#bucket.take(time)
    slices.charge(time)
  }
}

/** The budget for the requests of one run. */
export class RunTime {
  readonly #plugin: PluginTime
  readonly #onSpent: () => void
  #requests = 0
  #used = 0

  /** `onSpent` is called once, when the budget is used up. */
  constructor(plugin: PluginTime, onSpent: () => void) {
    this.#plugin = plugin
    this.#onSpent = onSpent
  }

  /** The problem for further requests, if the budget is used up. */
  get spent(): FetchProblem | undefined {
    return this.#used > runTime
      ? problem(`the requests of this run took more than ${runTime} ms of the host's processor time`)
      : undefined
  }

  /** Whether the run has used twice its budget, so it still takes time long after the budget was used up. */
  get overdrawn(): boolean {
    return this.#used > 2 * runTime
  }

  /** Counts a request. Returns a problem if the request may not be made. */
  request(): FetchProblem | undefined {
    this.#requests++
    return this.#requests > runRequests
      ? problem(`one run cannot make more than ${runRequests} requests, redirects included`)
      : this.spent
  }

  /**
   * Runs a slice when it is this plugin's turn. `failed` gets an error that the slice throws, so that it affects
   * nothing else.
   */
  queue(slice: () => void, failed: (error: Error) => void): void {
    this.#plugin.queue(() => {
      try {
        this.measure(slice)
      } catch (error) {
        failed(error instanceof Error ? error : new Error(String(error)))
      }
    })
  }

  /** Runs work that cannot wait for its turn, and counts its time. */
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
