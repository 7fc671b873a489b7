/**
 * Posts go first: while they keep the hub busy, plugins get a small share of its time.
 *
 * **Details**: posts and jobs share one thread. Jobs use its idle time. If there is none, one batch may start after a
 * number of posts, so that the share of jobs is equally small on a slow machine. Whether posts use the time that jobs
 * leave is known only while jobs wait. Therefore they do so for a limited time: until posts are far ahead of them, or have
 * been ahead for long. See Backlog.ts.
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

/**
 * With fewer posts in a busy millisecond, something else keeps the thread busy: a post takes about a fifth of one. Not
 * more, because jobs that run take time from posts. Clients that post 5 in a millisecond post 2 then, and 1 on a machine
 * that is half as fast. Their posts would never go first.
 */
const postsPerMillisecond = 0.75

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
  /** They are so far ahead, or have been ahead for so long, that jobs should not wait for them. */
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

/** Returns a function that returns how many jobs may start now. If it is 0, ask again soon. */
export const makeLook = (
  { posts, areFarAhead }: Pick<Posts, "posts" | "areFarAhead">,
  { now, active }: Readings
): (() => number) => {
  const read = () => ({ at: now(), posts: posts(), active: active() })
  // `since` is at least `span` old once there was time for it, and `next` replaces it.
  let since = read()
  let next = since
  let begunAt = since.posts

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

  return () => {
    const jobs = allowed()
    if (jobs > 0) begunAt = posts()
    return jobs
  }
}

/** Returns an effect that waits until the hub has time for plugins, then returns how many jobs may start. */
export const make = (posts: Posts, readings: Readings = ofThisThread): Effect.Effect<number> => {
  const look = makeLook(posts, readings)
  return Effect.callback((resume) => {
    let timer: NodeJS.Timeout | undefined
    const ask = (): void => {
      const jobs = look()
      if (jobs === 0) {
        timer = setTimeout(ask, interval)
        return
      }
      posts.jobsWait(false)
      resume(Effect.succeed(jobs))
    }
    posts.jobsWait(true)
    const immediate = setImmediate(ask)
    return Effect.sync(() => {
      clearImmediate(immediate)
      clearTimeout(timer)
      posts.jobsWait(false)
    })
  })
}
