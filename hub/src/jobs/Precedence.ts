/**
 * Posts go first: while they keep the hub busy, plugins get a small share of its time.
 *
 * **Details**: posts and jobs share one thread, so a post waits for at most one small batch of jobs. Jobs use the idle
 * time of the thread. If there is none, one batch may start after a number of posts, so that the share of jobs is
 * equally small on a slow machine. Jobs always make progress, and a backlog is worked off when posts pause. Backlog.ts
 * bounds it: near its bound, jobs do not wait.
 */
import { Effect } from "effect"
// The global of Bun lacks `eventLoopUtilization` until this module is loaded.
import { performance } from "node:perf_hooks"

/** Jobs in a batch while posts arrive. Not fewer, because a commit of many jobs costs little more than one of few. */
const batch = 32

/** Posts between two batches if the thread has no idle time. */
const postsPerBatch = 768

/** Jobs in a batch while no posts arrive. A post that comes meanwhile waits for the batch. */
const freeBatch = 48

/** The event loop counts as busy from this utilization on. */
const busy = 0.75

/** With fewer posts in a busy millisecond, something else keeps the thread busy: a post takes much less than 4 ms. */
const postsPerMillisecond = 0.25

/**
 * Shortest time over which utilization and posts are measured, in milliseconds: longer than a group of posts takes from
 * its requests to its responses. In a shorter one the thread may be idle, or commit nothing, although posts keep it busy.
 */
const span = 16

/** Milliseconds between two looks. */
const interval = 1

/** What Precedence needs to know of posts. */
export interface Posts {
  /** How many have been committed. */
  readonly posts: () => number
  /** They are so far ahead that jobs should not wait for them. */
  readonly areFarAhead: () => boolean
  /** Jobs begin or cease to wait for posts. */
  readonly jobsWait: (waiting: boolean) => void
}

export interface Readings {
  /** Milliseconds of a clock that is never set. */
  readonly now: () => number
  /** Milliseconds in which the event loop was busy. */
  readonly active: () => number
}

const ofThisThread: Readings = {
  now: () => performance.now(),
  active: () => performance.eventLoopUtilization().active
}

/** Returns an effect that waits until the hub has time for plugins, then returns how many jobs may start. */
export const make = (
  { posts, areFarAhead, jobsWait }: Posts,
  { now, active }: Readings = ofThisThread
): Effect.Effect<number> => {
  const read = () => ({ at: now(), posts: posts(), active: active() })
  // `since` is at least `span` old once there was time for it, and `next` replaces it.
  let since = read()
  let next = since
  let begunAt = posts()

  /** How many jobs may start now. */
  const allowed = (): number => {
    if (areFarAhead()) return freeBatch
    const last = read()
    if (last.at - next.at >= span) {
      since = next
      next = last
    }
    const came = last.posts - since.posts
    if (came === 0) return freeBatch
    const active = last.active - since.active
    const postsKeepItBusy = active >= busy * (last.at - since.at) && came >= postsPerMillisecond * active
    return postsKeepItBusy && last.posts - begunAt < postsPerBatch ? 0 : batch
  }

  return Effect.callback((resume) => {
    let timer: NodeJS.Timeout | undefined
    const look = (): void => {
      const jobs = allowed()
      if (jobs === 0) {
        timer = setTimeout(look, interval)
        return
      }
      begunAt = posts()
      jobsWait(false)
      resume(Effect.succeed(jobs))
    }
    jobsWait(true)
    const immediate = setImmediate(look)
    return Effect.sync(() => {
      clearImmediate(immediate)
      clearTimeout(timer)
      jobsWait(false)
    })
  })
}
