/** Posts go first while they keep the thread busy, and only then. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Backlog } from "../src/jobs/Backlog.ts"
import * as Precedence from "../src/jobs/Precedence.ts"

interface Load {
  /** Clients that post again as soon as they have a response. */
  readonly clients?: number
  /** Posts a second that come whether others have been served or not. */
  readonly perSecond?: number
  readonly plugins: number
  /** The share of the time that other requests take. */
  readonly others?: number
  /** How many times slower than a usual machine. */
  readonly slowness?: number
}

/** Milliseconds of the thread. Each other request is a search. */
const costs = { post: 0.18, job: 0.15, other: 3 }

/** Milliseconds from a response to the next request of its client. */
const thinking = 0.5

/** A hub's thread, simulated: it serves posts and other requests as they come, and starts the jobs that it may. */
class Thread {
  now = 0
  active = 0
  posts = 0
  /** How often jobs waited for a millisecond. */
  held = 0
  /** The longest time from a post to the start of its last job. */
  longest = 0
  readonly #load: Load
  readonly #slowness: number
  readonly #backlog: Backlog
  readonly #look: () => number
  readonly #came: Array<number>
  readonly #postedAt: Array<number> = []
  #expanded = 0
  #jobs = 0
  #others = 0
  #begun = 0
  #lookAt = 0

  constructor(load: Load) {
    this.#load = load
    this.#slowness = load.slowness ?? 1
    this.#came = Array.from({ length: load.clients ?? 0 }, () => 0)
    const now = () => this.now
    this.#backlog = new Backlog({ now, utilization: () => 1 })
    this.#look = Precedence.makeLook(
      { posts: () => this.posts, areFarAhead: () => this.#backlog.isHigh },
      { now, active: () => this.active }
    )
  }

  /** Works until a condition holds. Returns the milliseconds that it took. */
  until(condition: () => boolean): number {
    const begin = this.now
    while (!condition()) {
      const isBusy = [this.#serve(), this.#serveOthers(), this.#startJobs()].includes(true)
      if (!isBusy) this.now += 0.1
    }
    return this.now - begin
  }

  #work(millis: number): true {
    this.now += millis * this.#slowness
    this.active += millis * this.#slowness
    return true
  }

  #serve(): boolean {
    const { clients = 0, perSecond = 0 } = this.#load
    const waiting = this.#came.filter((at) => at <= this.now)
    const due = clients > 0 ? waiting.length : Math.floor((this.now * perSecond) / 1_000) - this.posts
    const count = Math.min(64, due)
    if (count === 0) return false
    this.#work(count * costs.post)
    for (let post = 0; post < count; post++) {
      this.#postedAt.push(this.now)
      if (clients > 0) this.#came.splice(this.#came.indexOf(waiting[post] ?? 0), 1, this.now + thinking)
    }
    this.posts += count
    this.#backlog.posted(count)
    return true
  }

  #serveOthers(): boolean {
    if (this.#others + costs.other > this.now * (this.#load.others ?? 0)) return false
    this.#others += costs.other
    return this.#work(costs.other / this.#slowness)
  }

  #startJobs(): boolean {
    const { plugins } = this.#load
    if (plugins === 0 || (this.#jobs === 0 && this.#expanded === this.posts)) return false
    if (this.now < this.#lookAt) return false
    const allowed = this.#look()
    if (allowed === 0) {
      this.#lookAt = this.now + 1
      this.held++
      return false
    }
    if (this.#jobs === 0) {
      const count = Math.min(64, this.posts - this.#expanded)
      this.#expanded += count
      this.#backlog.expanded(count, count < 64)
      this.#jobs = count * plugins
    }
    const jobs = Math.min(allowed, this.#jobs)
    this.#work(jobs * costs.job)
    this.#jobs -= jobs
    this.#begun += jobs
    const last = this.#postedAt[Math.ceil(this.#begun / plugins) - 1] ?? this.now
    this.longest = Math.max(this.longest, this.now - last)
    return true
  }
}

describe("posts and jobs on one thread", () => {
  const seconds = (thread: Thread, count: number) => thread.until(() => thread.now >= count * 1_000)

  for (const slowness of [1, 2]) {
    it(`lets a burst of 16 clients go first on a machine of 1/${slowness} of the speed`, () => {
      const posted = (plugins: number) => {
        const thread = new Thread({ clients: 16, plugins, slowness })
        return thread.until(() => thread.posts >= 3_500)
      }
      assert.isBelow(posted(3), posted(0) / 0.9)
    })
  }

  it("lets plugins work for posts that come faster than they can", () => {
    const thread = new Thread({ clients: 16, plugins: 3 })
    seconds(thread, 20)
    assert.isBelow(thread.longest, 4_000)
  })

  for (const [what, load, longest] of [
    ["1,200 posts a second", { perSecond: 1_200, plugins: 3 }, 500],
    ["1,500 posts a second", { perSecond: 1_500, plugins: 3 }, 1_000],
    ["2,500 posts a second with one plugin", { perSecond: 2_500, plugins: 1 }, 1_000],
    ["1,000 posts a second beside readers", { perSecond: 1_000, plugins: 3, others: 0.3 }, 2_000],
    ["600 posts a second beside busy readers", { perSecond: 600, plugins: 3, others: 0.5 }, 500],
    ["600 posts a second on a machine half as fast", { perSecond: 600, plugins: 3, slowness: 2 }, 500]
  ] as const) {
    it(`finds things soon, as long as there is time for all: ${what}`, () => {
      const thread = new Thread(load)
      seconds(thread, 20)
      assert.isBelow(thread.longest, longest)
    })
  }

  for (const [what, load] of [
    ["250 posts a second beside busy readers", { perSecond: 250, plugins: 3, others: 0.7 }],
    ["500 posts a second beside busy readers", { perSecond: 500, plugins: 3, others: 0.6 }],
    ["100 posts a second", { perSecond: 100, plugins: 3 }],
    ["a post now and then", { perSecond: 1, plugins: 3 }]
  ] as const) {
    it(`holds no job up: ${what}`, () => {
      const thread = new Thread(load)
      seconds(thread, 20)
      assert.strictEqual(thread.held, 0)
      assert.isBelow(thread.longest, 100)
    })
  }
})

describe("a turn of jobs", () => {
  /** A busy thread that is a millisecond further at each look, with so many posts in each. */
  const makeThread = (posts: (millis: number) => number) => {
    const thread = { millis: 0, posts: () => posts(thread.millis) }
    const readings: Precedence.Readings = {
      now: () => ++thread.millis,
      active: () => thread.millis
    }
    return { thread, readings }
  }

  it("is a batch after many posts while the thread is busy with them, a larger one when they pause", () => {
    const { thread, readings } = makeThread((millis) => 5 * Math.min(millis, 1_000))
    const look = Precedence.makeLook({ posts: thread.posts, areFarAhead: () => false }, readings)
    const begun: Array<number> = []
    while (thread.millis < 1_000) begun.push(look())
    const batches = begun.slice(100).filter((jobs) => jobs > 0)
    assert.isAtLeast(batches.length, 4)
    assert.isAtMost(batches.length, 6)
    assert.deepStrictEqual([...new Set(batches)], [32])
    while (thread.millis < 1_100) begun.push(look())
    assert.strictEqual(begun.at(-1), 48)
  })

  it("does not take a moment without a commit for a pause", () => {
    // It commits 16 posts at once, every 8 ms.
    const { thread, readings } = makeThread((millis) => 16 * Math.floor(millis / 8))
    const look = Precedence.makeLook({ posts: thread.posts, areFarAhead: () => false }, readings)
    // What came before the first posts is not counted.
    while (thread.posts() < 100) look()
    const until = (): number => {
      for (let jobs = look(); ; jobs = look()) if (jobs > 0) return jobs
    }
    const [before, batches] = [thread.posts(), [until(), until()]]
    assert.deepStrictEqual(batches, [32, 32])
    assert.isAbove(thread.posts() - before, 768)
  })

  it.live("comes at once if posts are far ahead of jobs, and tells when jobs wait", () =>
    Effect.gen(function* () {
      const { thread, readings } = makeThread((millis) => 5 * millis)
      const state = { far: true, waiting: false }
      const turn = Precedence.make(
        {
          posts: thread.posts,
          areFarAhead: () => state.far,
          jobsWait: (waiting) => {
            state.waiting = waiting
          }
        },
        readings
      )
      const before = thread.millis
      for (let batches = 0; batches < 20; batches++) yield* turn
      assert.strictEqual(thread.millis, before)
      state.far = false
      // What came before is not counted in time.
      while (thread.millis < 100) yield* turn
      assert.isFalse(state.waiting)
      const fiber = yield* Effect.forkChild(turn, { startImmediately: true })
      assert.isTrue(state.waiting)
      yield* Fiber.interrupt(fiber)
      assert.isFalse(state.waiting)
    })
  )
})
