/** Posts wait for plugins only if both lack the same thing: the thread's time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Backlog } from "../src/jobs/Backlog.ts"

const maxAhead = 4_096

/** A thread whose clock and load a test sets. */
const makeThread = () => {
  const thread = { now: 1_000, utilization: 1 }
  const backlog = new Backlog({ now: () => thread.now, utilization: () => thread.utilization })
  /** Jobs were created now, and a moment ago. */
  const createJobs = (posts: number): void => {
    backlog.expanded(0, false)
    thread.now += 100
    backlog.expanded(posts, false)
  }
  return { thread, backlog, createJobs }
}

const isOpen = (backlog: Backlog) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(backlog.room, { startImmediately: true })
    const open = fiber.pollUnsafe() !== undefined
    yield* Fiber.interrupt(fiber)
    return open
  })

describe("a backlog of posts", () => {
  it.live("lets a burst through, then holds posts up until jobs were created", () =>
    Effect.gen(function* () {
      const { backlog, createJobs } = makeThread()
      createJobs(0)
      backlog.posted(maxAhead - 1)
      assert.isTrue(yield* isOpen(backlog))
      backlog.posted(1)
      const waiting = yield* Effect.forkChild(backlog.room, { startImmediately: true })
      assert.isUndefined(waiting.pollUnsafe())
      backlog.expanded(64, false)
      assert.isDefined(waiting.pollUnsafe())
      backlog.posted(64)
      assert.isFalse(yield* isOpen(backlog))
      // Another hub created the jobs of this one's posts.
      backlog.expanded(0, true)
      assert.isTrue(yield* isOpen(backlog))
    })
  )

  it.live("never holds them up while the thread has time", () =>
    Effect.gen(function* () {
      const { backlog, createJobs, thread } = makeThread()
      createJobs(0)
      backlog.posted(2 * maxAhead)
      thread.utilization = 0.3
      assert.isTrue(yield* isOpen(backlog))
      thread.now += 50
      thread.utilization = 0.9
      const waiting = yield* Effect.forkChild(backlog.room, { startImmediately: true })
      assert.isUndefined(waiting.pollUnsafe())
      thread.now += 50
      thread.utilization = 0.3
      // It looks again by itself.
      yield* Fiber.join(waiting)
    })
  )

  it.live("never holds them up for plugins that are slow or stuck", () =>
    Effect.gen(function* () {
      const { backlog, createJobs, thread } = makeThread()
      backlog.posted(2 * maxAhead)
      // No jobs were created yet: plugins may be paused.
      assert.isTrue(yield* isOpen(backlog))
      createJobs(64)
      assert.isFalse(yield* isOpen(backlog))
      thread.now += 700
      assert.isTrue(yield* isOpen(backlog))
      backlog.expanded(64, false)
      assert.isTrue(yield* isOpen(backlog))
    })
  )

  it.live("does not call plugins slow for the time in which posts go first", () =>
    Effect.gen(function* () {
      const { backlog, createJobs, thread } = makeThread()
      createJobs(0)
      backlog.posted(2 * maxAhead)
      backlog.pluginsWait(true)
      thread.now += 5_000
      assert.isFalse(yield* isOpen(backlog))
      backlog.pluginsWait(false)
      thread.now += 600
      assert.isFalse(yield* isOpen(backlog))
      backlog.expanded(64, false)
      assert.isFalse(yield* isOpen(backlog))
      thread.now += 700
      assert.isTrue(yield* isOpen(backlog))
    })
  )

  it.live("lets plugins go first a little before posts wait for them", () =>
    Effect.sync(() => {
      const { backlog } = makeThread()
      backlog.posted(maxAhead - 512)
      assert.isFalse(backlog.isHigh)
      backlog.posted(512 - 64)
      assert.isTrue(backlog.isHigh)
      backlog.expanded(512, false)
      assert.isFalse(backlog.isHigh)
    })
  )

  it.live("takes its posts that other hubs gave jobs for done, and is worth one count a second", () =>
    Effect.gen(function* () {
      const { backlog, createJobs, thread } = makeThread()
      createJobs(0)
      assert.isFalse(backlog.isWorthACount)
      backlog.posted(maxAhead)
      const waiting = yield* Effect.forkChild(backlog.room, { startImmediately: true })
      assert.isUndefined(waiting.pollUnsafe())
      assert.isTrue(backlog.isWorthACount)
      // Those of other hubs are not its own.
      backlog.posted(maxAhead)
      backlog.counted(maxAhead)
      backlog.expanded(maxAhead, false)
      assert.isUndefined(waiting.pollUnsafe())
      assert.isTrue(backlog.isHigh)
      assert.isFalse(backlog.isWorthACount)
      thread.now += 1_000
      assert.isTrue(backlog.isWorthACount)
      backlog.counted(200)
      assert.isDefined(waiting.pollUnsafe())
      assert.isFalse(backlog.isHigh)
      createJobs(0)
      backlog.posted(maxAhead - 201)
      assert.isTrue(yield* isOpen(backlog))
      backlog.posted(1)
      assert.isFalse(yield* isOpen(backlog))
    })
  )

  it.live("lets plugins go first if posts have long been without jobs, until they have caught up", () =>
    Effect.sync(() => {
      const { backlog, thread } = makeThread()
      backlog.posted(100)
      thread.now += 2_000
      backlog.posted(100)
      assert.isFalse(backlog.isHigh)
      thread.now += 1_000
      assert.isTrue(backlog.isHigh)
      backlog.expanded(64, false)
      assert.isTrue(backlog.isHigh)
      // Those that are left have only just come.
      backlog.expanded(63, false, true)
      assert.isFalse(backlog.isHigh)
      thread.now += 3_000
      assert.isTrue(backlog.isHigh)
      backlog.expanded(63, true)
      assert.isFalse(backlog.isHigh)
      backlog.posted(100)
      assert.isFalse(backlog.isHigh)
    })
  )
})
