/**
 * Keeps posts from getting far ahead of the plugins.
 *
 * **Details**
 *
 * - Posts go first: see Precedence.ts. Clients that post as fast as they can would leave plugins so little time that
 *   the posts without jobs grow without end. From `maxAhead` on, a post waits until there are fewer.
 * - A burst of up to `maxAhead` posts does not wait.
 * - Posts do not wait for plugins that are slow, paused or broken: only if this thread is busy, and jobs are created all
 *   the time. Then the plugins lack nothing but the time that posts take.
 */
import { Effect } from "effect"
// The global of Bun lacks `eventLoopUtilization` until this module is loaded.
import { performance } from "node:perf_hooks"

/** Posts that may be without jobs. */
const maxAhead = 4_096

/** Plugins are slow if their next jobs are created later than this, in milliseconds. */
const slow = 640

/** The event loop counts as busy from this utilization on. */
const busy = 0.5

/** Shortest time over which utilization is measured, and the time between two looks at it, in milliseconds. */
const interval = 50

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
  #expandedAt = Number.NEGATIVE_INFINITY
  #isSlow = true
  #isBusy = false
  #measuredAt = Number.NEGATIVE_INFINITY
  #look: () => void = () => {}

  constructor(readings: Readings = ofThisThread()) {
    this.#readings = readings
  }

  /** Posts were committed. */
  posted(count: number): void {
    this.#ahead += count
  }

  /** Posts got their jobs. `all`: none is left. */
  expanded(count: number, all: boolean): void {
    const now = this.#readings.now()
    this.#ahead = all ? 0 : Math.max(0, this.#ahead - count)
    this.#isSlow = now - this.#expandedAt > slow
    this.#expandedAt = now
    this.#look()
  }

  get #isFull(): boolean {
    if (this.#ahead < maxAhead) return false
    const now = this.#readings.now()
    if (now - this.#measuredAt >= interval) {
      this.#isBusy = this.#readings.utilization() >= busy
      this.#measuredAt = now
    }
    return this.#isBusy && !this.#isSlow && now - this.#expandedAt <= slow
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
