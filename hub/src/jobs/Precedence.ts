/**
 * Those who post go first: while they keep the hub busy, plugins are given a small share of its time.
 *
 * **Details**: there is one thread for both, so a post waits for a small batch of jobs at most. Where the thread
 * has idle time the jobs have it; where it has none their share is counted in posts, so that it is as small on a
 * slow machine. Jobs are never kept from going on, and what has piled up is worked off when the posts pause.
 */
import { Effect } from "effect"

/** Jobs of a batch that is begun while others post: many, because a commit of many costs little more than one of few. */
const batch = 32

/** Where there is no idle time, a batch comes after so many posts. */
const postsPerBatch = 192

/** Jobs of a batch while nobody posts: who comes meanwhile waits for it. */
const freeBatch = 48

/** The share of time in which the event loop has something to do, from which on it is busy. */
const busy = 0.75

/** What is judged is at least so long, in milliseconds; looking more often would cost those who post. */
const interval = 1

/** Makes what waits for the hub to have time for plugins, and answers how many jobs may begin. */
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

/** A millisecond of the thread's time, whatever the Clock says. */
export const moment: Effect.Effect<void> = Effect.callback((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 1)
  return Effect.sync(() => clearTimeout(timer))
})
