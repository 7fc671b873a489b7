/** The feed over a log in memory, which is written to exactly where it would hurt. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { LoggedEvent } from "../src/core/Event.ts"
import { EventLog } from "../src/core/EventLog.ts"
import { WakeUp } from "../src/core/WakeUp.ts"
import { Feed, type LiveOptions, unlessStalled } from "../src/core/Feed.ts"
import { Backpressure, type FeedEvent } from "../src/core/Listeners.ts"

interface Log {
  newest: number
  /** Around each answer of the log. */
  before: () => void
  after: () => void
  readonly commit: (count?: number) => void
}

const event = (event_id: number): LoggedEvent => ({
  event_id,
  ts: "2026-01-01T00:00:00.000Z",
  name: "message.created",
  data_json: "{}",
  channel_id: "c",
  topic_id: event_id % 2 === 0 ? "even" : "odd",
  topic_id2: null,
  entity_type: "message",
  entity_id: String(event_id)
})

/** `kept`: the log hands over so many events at once, without a read. */
const build = Effect.fnUntraced(function* ({ kept = 0, ...options }: LiveOptions & { kept?: number } = {}) {
  const arrivals = new WakeUp()
  let committed: Array<LoggedEvent> = []
  const log: Log = {
    newest: 0,
    before: () => {},
    after: () => {},
    commit: (count = 1) => {
      for (let at = 0; at < count; at++) committed.push(event(++log.newest))
      arrivals.ring()
    }
  }
  const unused = () => Effect.die("the feed only reads")
  const logLayer = Layer.succeed(
    EventLog,
    EventLog.of({
      append: unused,
      appendAll: unused,
      arrivals,
      takeCommitted: () => {
        const events = committed
        committed = []
        return kept === 0 || events.length > kept ? undefined : events
      },
      onArrival: () => {},
      newest: Effect.sync(() => log.newest),
      prunedUntil: Effect.succeed(0),
      list: ({ after, limit, topics }) =>
        Effect.sync(() => {
          log.before()
          const events: Array<LoggedEvent> = []
          let has_more = false
          for (let id = after + 1; id <= log.newest && !has_more; id++) {
            const found = event(id)
            if (topics.length > 0 && !topics.includes(found.topic_id ?? "")) continue
            if (events.length === limit) has_more = true
            else events.push(found)
          }
          const replay_until = log.newest
          log.after()
          return { events, replay_until, has_more, pruned_until: 0 }
        })
    })
  )
  const services = yield* Layer.build(Feed.layer(options).pipe(Layer.provide(logLayer)))
  return { feed: Context.get(services, Feed), log }
})

/** Follows until it has enough, and answers the numbers of what it was sent. */
const collect = (
  feed: Feed["Service"],
  after: number,
  enough: (last: number) => boolean,
  topics?: ReadonlyArray<string>
) =>
  Effect.gen(function* () {
    const ids: Array<number> = []
    const send = (events: ReadonlyArray<FeedEvent>) => {
      for (const { event_id } of events) ids.push(event_id)
      return enough(ids.at(-1) ?? 0) ? Effect.fail("enough") : Effect.yieldNow
    }
    yield* Effect.flip(feed.follow(after, topics === undefined ? undefined : { topics }, send))
    return ids
  })

/** Commits on and on, between whatever else goes on. */
const committing = (log: Log) =>
  Effect.forkScoped(
    Effect.forever(
      Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => log.commit())
      )
    )
  )

const from = (first: number, last: number) =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at)

describe("Feed", () => {
  it.effect("misses and doubles nothing that is committed right before or after any read of the log", () =>
    Effect.gen(function* () {
      for (const [before, after, kept] of [
        [1, 0, 0],
        [0, 1, 0],
        [1, 1, 0],
        [70, 0, 0],
        [0, 70, 0],
        [1, 1, 2],
        [3, 0, 64],
        [0, 70, 64]
      ] as const) {
        const starts = [0, 1, 63, 64, 65, 100]
        const seen = yield* Effect.gen(function* () {
          const { feed, log } = yield* build({ kept })
          for (let at = 0; at < 100; at++) log.commit()
          let reads = 0
          const commit = (count: number) => () => {
            if (reads++ < 40) for (let at = 0; at < count; at++) log.commit()
          }
          log.before = commit(before)
          log.after = commit(after)
          yield* committing(log)
          return yield* Effect.forEach(
            starts,
            (start) => collect(feed, start, (last) => (kept > 0 ? last : reads) >= 500),
            {
              concurrency: "unbounded"
            }
          )
        }).pipe(Effect.scoped)
        for (const [at, ids] of seen.entries()) {
          const start = starts[at] ?? 0
          assert.isNotEmpty(ids)
          assert.deepStrictEqual(ids, from(start + 1, ids.at(-1) ?? 0), `${before}/${after} from ${start}`)
        }
      }
    })
  )

  it.effect("does so with a filter too", () =>
    Effect.gen(function* () {
      const { feed, log } = yield* build()
      for (let at = 0; at < 300; at++) log.commit()
      let reads = 0
      log.before = () => {
        if (reads++ < 20) for (let at = 0; at < 3; at++) log.commit()
      }
      log.after = log.before
      yield* committing(log)
      const even = yield* collect(feed, 0, (last) => last >= 600, ["even"])
      assert.deepStrictEqual(
        even,
        from(1, even.at(-1) ?? 0).filter((id) => id % 2 === 0)
      )
    })
  )

  it.effect.each([0, 10])(
    "reads at most once after a commit, and a listener that joins before gets nothing twice",
    (kept) =>
      Effect.gen(function* () {
        const { feed, log } = yield* build({ kept })
        let reads = 0
        log.before = () => reads++
        const first = yield* Effect.forkChild(collect(feed, 0, (last) => last >= 6))
        yield* TestClock.adjust(1)
        // Committed, and the reader not yet awake.
        log.newest = 5
        const second = yield* Effect.forkChild(collect(feed, 0, (last) => last >= 6))
        yield* TestClock.adjust(1)
        reads = 0
        log.commit()
        assert.deepStrictEqual(yield* Fiber.join(first), from(1, 6))
        assert.deepStrictEqual(yield* Fiber.join(second), from(1, 6))
        yield* TestClock.adjust(1)
        const once = kept === 0 ? 1 : 0
        assert.strictEqual(reads, once)
        // Without listeners nothing is read.
        log.commit()
        yield* TestClock.adjust(1)
        assert.strictEqual(reads, once)
      })
  )

  it.effect("reads nothing while the log hands over what was committed, and reads what is missing", () =>
    Effect.gen(function* () {
      const { feed, log } = yield* build({ kept: 10 })
      const listener = yield* Effect.forkChild(collect(feed, 0, (last) => last >= 60))
      yield* TestClock.adjust(1)
      let reads = 0
      log.before = () => reads++
      for (let at = 0; at < 5; at++) log.commit()
      yield* TestClock.adjust(1)
      assert.strictEqual(reads, 0)
      log.commit(50)
      yield* TestClock.adjust(1)
      assert.strictEqual(reads, 1)
      // A commit that the log did not hand over.
      log.newest++
      log.commit()
      yield* TestClock.adjust(1)
      assert.strictEqual(reads, 2)
      for (let at = 0; at < 3; at++) log.commit()
      assert.deepStrictEqual(yield* Fiber.join(listener), from(1, 60))
      assert.strictEqual(reads, 2)
    })
  )

  it.effect("lets go of a listener for which too much waits, and of no other", () =>
    Effect.gen(function* () {
      const { feed, log } = yield* build({ maxBuffered: 1000 })
      const stuck = yield* Effect.forkChild(Effect.flip(feed.follow(0, undefined, () => Effect.never)))
      const quick = yield* Effect.forkChild(collect(feed, 0, (last) => last >= 50))
      while (log.newest < 50) {
        yield* TestClock.adjust(1)
        log.commit()
      }
      assert.instanceOf(yield* Fiber.join(stuck), Backpressure)
      assert.deepStrictEqual(yield* Fiber.join(quick), from(1, 50))
    })
  )

  it.effect("does not wait longer than 15 seconds for a client that takes nothing", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.forkChild(Effect.flip(unlessStalled(Effect.never)))
      yield* TestClock.adjust("14999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.instanceOf(yield* Fiber.join(waiting), Backpressure)
    })
  )

  it.effect(
    "stops: follows end, nobody is admitted, and it waits for the clients to leave, but not for long",
    () =>
      Effect.gen(function* () {
        const { feed } = yield* build({ maxSockets: 2 })
        const place = yield* Scope.make()
        assert.isTrue(yield* feed.admit(true).pipe(Scope.provide(place)))
        const following = yield* Effect.forkChild(feed.follow(0, undefined, () => Effect.void))
        const stop = yield* Effect.forkChild(feed.stop)
        yield* TestClock.adjust(1)
        yield* Fiber.join(following)
        assert.isFalse(yield* feed.admit(true))
        assert.isUndefined(stop.pollUnsafe())
        yield* Scope.close(place, Exit.void)
        yield* Fiber.join(stop)

        const other = yield* build()
        yield* other.feed.admit(true)
        const bounded = yield* Effect.forkChild(other.feed.stop)
        yield* TestClock.adjust("800 millis")
        yield* Fiber.join(bounded)
      })
  )
})
