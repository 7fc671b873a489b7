/**
 * Keeps posts from getting far ahead of the plugins.
 *
 * **Details**
 *
 * - Posts go first: see Precedence.ts. Clients that post as fast as they can would leave plugins so little time that
 *   the posts without jobs grow without end. From `maxAhead` on, a post waits until there are fewer. A little before,
 *   plugins no longer wait for posts, nor if there have been posts without jobs for `longAhead`.
 * - A burst of up to `maxAhead` posts does not wait.
 * - Posts do not wait for plugins that are slow, paused or broken: only if this thread is busy, and jobs are created all
 *   the time. Then the plugins lack nothing but the time that posts take.
 * - Other hubs on the database create jobs of this hub's posts too. So the posts are counted there now and then.
 */
import { Effect } from "effect"
// The global of Bun lacks `eventLoopUtilization` until this module is loaded.
import { performance } from "node:perf_hooks"

/** Posts that may be without jobs. */
export const maxAhead = 4_096

/** So many posts are nearly as many: twice those that get their jobs at once are missing. */
const manyAhead = maxAhead - 128

/**
 * Posts are ahead for long from this time on, in milliseconds. 16 clients that post as fast as they can are far ahead in
 * a third of it; others may post less than the hub could serve beside the plugins, and must not wait seconds for findings.
 */
const longAhead = 3_000

/** Plugins are slow if their next jobs are created later than this, in milliseconds. Time in which posts go first is not theirs. */
const slow = 640

/** The event loop counts as busy from this utilization on. */
const busy = 0.5

/** Shortest time over which utilization is measured, and the time between two looks at it, in milliseconds. */
const interval = 50

/** Shortest time between two counts, in milliseconds. */
const betweenCounts = 1_000

export interface Readings {
  /** Milliseconds of a clock that is never set. */
  readonly now: () => number
  /** The utilization of the event loop since the last call, 0 to 1. */
  readonly utilization: () => number
}

const ofThisThread = (): Readings => {
  let last = performance.eventLoopUtilization()
  return {
    now: () => performance.now(),
    utilization: () => {
      const { utilization } = performance.eventLoopUtilization(last)
      last = performance.eventLoopUtilization()
      return utilization
    }
  }
}

export class Backlog {
  readonly #readings: Readings
  #ahead = 0
  /** Since when there have been posts without jobs, if there are some. */
  #aheadSince = 0
  /** Milliseconds for which plugins have waited for posts, and since when they do now. */
  #waited = 0
  #waitsSince: number | undefined
  #expandedAt = Number.NEGATIVE_INFINITY
  #isSlow = true
  #isBusy = false
  #measuredAt = Number.NEGATIVE_INFINITY
  #countedAt = Number.NEGATIVE_INFINITY
  #look: () => void = () => {}

  constructor(readings: Readings = ofThisThread()) {
    this.#readings = readings
  }

  /** Posts were committed. */
  posted(count: number): void {
    if (this.#ahead === 0) this.#aheadSince = this.#readings.now()
    this.#ahead += count
  }

  /** Posts got their jobs. `all`: none is left; `older`: those that are left were committed meanwhile. */
  expanded(count: number, all: boolean, older = all): void {
    this.#ahead = all ? 0 : Math.max(0, this.#ahead - count)
    if (older) this.#aheadSince = this.#readings.now()
    this.#isSlow = this.#isLate
    this.#expandedAt = this.#time
    this.#look()
  }

  /** Posts seem to be so far ahead that it matters whether other hubs have created jobs of them. */
  get isWorthACount(): boolean {
    return this.isHigh && this.#readings.now() - this.#countedAt >= betweenCounts
  }

  /** So many posts of all hubs are without jobs; a count ends at `maxAhead`. */
  counted(posts: number): void {
    this.#countedAt = this.#readings.now()
    if (posts < maxAhead) this.#ahead = Math.min(this.#ahead, posts)
    this.#look()
  }

  /** Plugins begin or cease to wait because posts go first. */
  pluginsWait(waiting: boolean): void {
    if (waiting) this.#waitsSince ??= this.#readings.now()
    else {
      this.#waited = this.#readings.now() - this.#time
      this.#waitsSince = undefined
    }
  }

  /** Plugins should not wait for posts: posts may have to wait for them soon, or findings have been late for long. */
  get isHigh(): boolean {
    const isLong = this.#ahead > 0 && this.#readings.now() - this.#aheadSince >= longAhead
    return isLong || this.#ahead >= manyAhead
  }

  /** Milliseconds of a clock that stands still while plugins wait for posts. */
  get #time(): number {
    return (this.#waitsSince ?? this.#readings.now()) - this.#waited
  }

  get #isLate(): boolean {
    return this.#time - this.#expandedAt > slow
  }

  get #isFull(): boolean {
    if (this.#ahead < maxAhead) return false
    const now = this.#readings.now()
    if (now - this.#measuredAt >= interval) {
      this.#isBusy = this.#readings.utilization() >= busy
      this.#measuredAt = now
    }
    return this.#isBusy && !this.#isSlow && !this.#isLate
  }

  /** Waits until more posts may be written. For one caller. */
  readonly room: Effect.Effect<void> = Effect.callback((resume) => {
    if (!this.#isFull) return resume(Effect.void)
    const end = (): void => {
      clearInterval(timer)
      this.#look = () => {}
    }
    this.#look = () => {
      if (this.#isFull) return
      end()
      resume(Effect.void)
    }
    const timer = setInterval(this.#look, interval)
    return Effect.sync(end)
  })
}
