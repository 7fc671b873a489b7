/**
 * Posts go first: while they keep the hub busy, plugins get a small share of its time.
 *
 * **Details**: posts and jobs share one thread, so a post waits for at most one small batch of jobs. Jobs use the idle
 * time of the thread. If there is none, one batch may start after a number of posts, so that the share of jobs is
 * equally small on a slow machine. Jobs always make progress, and a backlog is worked off when posts pause. Backlog.ts
 * bounds it.
 */
import { Effect } from "effect"
// The global of Bun lacks `eventLoopUtilization` until this module is loaded.
import { performance } from "node:perf_hooks"

/** Jobs in a batch while posts arrive. Not fewer, because a commit of many jobs costs little more than one of few. */
const batch = 32

/** Posts between two batches if the thread has no idle time. */
const postsPerBatch = 192

/** Jobs in a batch while no posts arrive. A post that comes meanwhile waits for the batch. */
const freeBatch = 48

/** The event loop counts as busy from this utilization on. */
const busy = 0.75

/** Shortest time over which utilization is measured, in milliseconds. Measuring more often would slow posts down. */
const interval = 1

/** Returns an effect that waits until the hub has time for plugins, then returns how many jobs may start. */
export const make = (posts: () => number): Effect.Effect<number> => {
  let last = performance.eventLoopUtilization()
  let lastAt = performance.now()
  let seen = posts()
  return Effect.callback((resume) => {
    const before = seen
    let timer: NodeJS.Timeout | undefined
    const look = (): void => {
      const now = performance.now()
      if (now - lastAt >= interval) {
        const { utilization } = performance.eventLoopUtilization(last)
        const came = posts() !== seen
        last = performance.eventLoopUtilization()
        lastAt = now
        seen = posts()
        if (!came) return resume(Effect.succeed(freeBatch))
        if (utilization < busy || seen - before >= postsPerBatch) return resume(Effect.succeed(batch))
      }
      timer = setTimeout(look, interval)
    }
    const immediate = setImmediate(look)
    return Effect.sync(() => {
      clearImmediate(immediate)
      clearTimeout(timer)
    })
  })
}

/** Waits a millisecond of real time, independent of the Clock. */
export const moment: Effect.Effect<void> = Effect.callback((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 1)
  return Effect.sync(() => clearTimeout(timer))
})
