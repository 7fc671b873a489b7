import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type BreakerState, CircuitBreaker } from "../src/CircuitBreaker.ts"
import { closed, halfOpen, open, plugin, withBreaker } from "./support/circuit.ts"

describe("CircuitBreaker: states and time", () => {
  it.effect("opens after three failures in a row, for sixty seconds", () =>
    Effect.gen(function* () {
      const { fail, refusal, state } = yield* plugin("p")
      assert.deepStrictEqual(yield* state, closed(0))
      assert.strictEqual(yield* fail, "boom")
      yield* fail
      assert.deepStrictEqual(yield* state, closed(2))
      yield* fail
      assert.deepStrictEqual(yield* state, open(60_000, 3))
      assert.deepStrictEqual(yield* refusal, { failures: 3, retryAfter: 60_000 })
      yield* TestClock.adjust("59999 millis")
      assert.deepStrictEqual(yield* refusal, { failures: 3, retryAfter: 1 })
    }).pipe(withBreaker())
  )

  it.effect("a success sets the count to 0", () =>
    Effect.gen(function* () {
      const { fail, succeed, state } = yield* plugin("p")
      yield* fail
      yield* fail
      assert.strictEqual(yield* succeed, "done")
      assert.deepStrictEqual(yield* state, closed(0))
      yield* fail
      yield* fail
      assert.deepStrictEqual(yield* state, closed(2))
    }).pipe(withBreaker())
  )

  it.effect("stays Open past the cooldown until a run asks, then lets one probe through", () =>
    Effect.gen(function* () {
      const { trip, start, refusal, state } = yield* plugin("p")
      yield* trip
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(yield* state, open(60_000, 0))
      const probe = yield* start
      assert.deepStrictEqual(yield* state, halfOpen(true, 0))
      assert.deepStrictEqual(yield* refusal, { failures: 0, retryAfter: 1_000 })
      yield* probe.succeed
      assert.deepStrictEqual(yield* state, closed(0))
    }).pipe(withBreaker())
  )

  it.effect(
    "a run that is refused during a probe retries after the cooldown if that is shorter than a second",
    () =>
      Effect.gen(function* () {
        const { trip, start, refusal } = yield* plugin("p")
        yield* trip
        yield* TestClock.adjust("250 millis")
        yield* start
        assert.deepStrictEqual(yield* refusal, { failures: 0, retryAfter: 250 })
      }).pipe(withBreaker({ cooldown: "250 millis" }))
  )

  it.effect("a failed probe opens the circuit again, and the count continues", () =>
    Effect.gen(function* () {
      const { fail, refusal, state } = yield* plugin("p")
      yield* Effect.repeat(fail, { times: 2 })
      yield* TestClock.adjust("61 seconds")
      yield* fail
      assert.deepStrictEqual(yield* state, open(121_000, 4))
      assert.deepStrictEqual(yield* refusal, { failures: 4, retryAfter: 60_000 })
    }).pipe(withBreaker())
  )

  it.effect("enter admits when it is run, and enterNow at once", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      const { enterNow } = breaker
      if (enterNow === undefined) return assert.fail("circuits in memory are there at once")
      yield* breaker.trip("p")
      yield* TestClock.adjust("60 seconds")
      const now = yield* Clock.currentTimeMillis
      const entering = breaker.enter("p", undefined, now)
      assert.strictEqual((yield* breaker.state("p"))._tag, "Open")
      yield* entering
      assert.deepStrictEqual(yield* breaker.state("p"), halfOpen(true, 0))
      assert.isTrue(Exit.isFailure(enterNow("p", undefined, now)))
      yield* breaker.trip("q")
      assert.isTrue(Exit.isSuccess(enterNow("q", undefined, now + 60_000)))
      assert.deepStrictEqual(yield* breaker.state("q"), halfOpen(true, 0))
    }).pipe(withBreaker())
  )

  /** A run that succeeds, and what is to be called if its isolate crashes afterwards. */
  const succeeding = Effect.gen(function* () {
    const breaker = yield* CircuitBreaker
    const pass = yield* breaker.enter("p", undefined, yield* Clock.currentTimeMillis)
    const leave = (exit: Exit.Exit<unknown, unknown>) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => pass.leave(exit, now))
    const crashed = Effect.flatMap(Clock.currentTimeMillis, (now) => pass.crashed(now))
    return { leave, succeed: leave(Exit.succeed("fine")), crashed }
  })

  it.effect("a success followed by a crash counts as a failure, in either order of the reports", () =>
    Effect.gen(function* () {
      const { fail, state, succeed } = yield* plugin("p")
      yield* fail
      const first = yield* succeeding
      yield* first.succeed
      assert.deepStrictEqual(yield* state, closed(0))
      yield* first.crashed
      assert.deepStrictEqual(yield* state, closed(2))
      const second = yield* succeeding
      yield* second.crashed
      assert.deepStrictEqual(yield* state, closed(2))
      yield* second.succeed
      assert.deepStrictEqual(yield* state, open(60_000, 3))
      yield* TestClock.adjust("60 seconds")
      yield* succeed
      assert.deepStrictEqual(yield* state, closed(0))
    }).pipe(withBreaker())
  )

  it.effect("only the last success before a crash counts as a failure", () =>
    Effect.gen(function* () {
      const { fail, state, succeed } = yield* plugin("p")
      yield* Effect.repeat(fail, { times: 1 })
      yield* succeed
      const last = yield* succeeding
      yield* last.succeed
      yield* last.crashed
      assert.deepStrictEqual(yield* state, closed(1))
    }).pipe(withBreaker())
  )

  it.effect("a probe that succeeds and crashes opens the circuit again", () =>
    Effect.gen(function* () {
      const { trip, state } = yield* plugin("p")
      yield* trip
      yield* TestClock.adjust("60 seconds")
      const probe = yield* succeeding
      yield* probe.succeed
      assert.deepStrictEqual(yield* state, closed(0))
      yield* probe.crashed
      assert.deepStrictEqual(yield* state, open(120_000, 3))
    }).pipe(withBreaker())
  )

  it.effect(
    "a crash counts nothing after a run that failed or was interrupted, or once the circuit has moved on",
    () =>
      Effect.gen(function* () {
        const { trip, reset, state } = yield* plugin("p")
        for (const exit of [Exit.fail("boom"), Exit.interrupt()]) {
          const run = yield* succeeding
          yield* run.leave(exit)
          yield* run.crashed
          assert.deepStrictEqual(yield* state, closed(1))
        }
        const late = yield* succeeding
        yield* late.succeed
        yield* trip
        yield* late.crashed
        assert.deepStrictEqual(yield* state, open(60_000, 0))
        yield* reset
        yield* late.crashed
        assert.deepStrictEqual(yield* state, closed(0))
      }).pipe(withBreaker())
  )

  it.effect("check fails as a run would, and changes nothing", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      const { trip, start, refusal, state } = yield* plugin("p")
      yield* breaker.check("p")
      assert.strictEqual((yield* breaker.states).size, 0)
      yield* trip
      assert.strictEqual(Duration.toMillis((yield* Effect.flip(breaker.check("p"))).retryAfter), 60_000)
      yield* TestClock.adjust("60 seconds")
      yield* breaker.check("p")
      assert.deepStrictEqual(yield* state, open(60_000, 0))
      yield* start
      const checked = yield* Effect.flip(breaker.check("p"))
      assert.strictEqual(Duration.toMillis(checked.retryAfter), (yield* refusal).retryAfter)
    }).pipe(withBreaker())
  )

  it.effect("circuits know nothing of each other", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      const bad = yield* plugin("bad")
      const good = yield* plugin("good")
      yield* Effect.repeat(bad.fail, { times: 2 })
      assert.strictEqual(yield* good.succeed, "done")
      assert.deepStrictEqual(
        yield* breaker.states,
        new Map<string, BreakerState>([
          ["bad", open(60_000, 3)],
          ["good", closed(0)]
        ])
      )
    }).pipe(withBreaker())
  )

  it.effect("asking for the state of a name leaves no circuit behind", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      assert.deepStrictEqual(yield* breaker.state("never used"), closed(0))
      assert.strictEqual((yield* breaker.states).size, 0)
    }).pipe(withBreaker())
  )
})

describe("CircuitBreaker: what counts", () => {
  it.effect("a defect counts and comes out as it came", () =>
    Effect.gen(function* () {
      const { die, state } = yield* plugin("p")
      assert.deepStrictEqual(yield* die, Exit.die("defect"))
      assert.deepStrictEqual(yield* state, closed(1))
    }).pipe(withBreaker())
  )

  it.effect("an interrupted run counts nothing, neither as failure nor as success", () =>
    Effect.gen(function* () {
      const { fail, start, state } = yield* plugin("p")
      yield* fail
      const run = yield* start
      yield* run.interrupt
      assert.deepStrictEqual(yield* state, closed(1))
    }).pipe(withBreaker())
  )

  it.effect("a failure counts even if it is interrupted while it is recorded", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      const mixed = Cause.combine(Cause.fail("boom"), Cause.interrupt(1))
      yield* Effect.exit(breaker.protect("p")(Effect.failCause(mixed)))
      assert.deepStrictEqual(yield* breaker.state("p"), closed(1))
    }).pipe(withBreaker())
  )

  it.effect("an interrupted probe frees its place for the next run", () =>
    Effect.gen(function* () {
      const { trip, start, succeed, state } = yield* plugin("p")
      yield* trip
      yield* TestClock.adjust("60 seconds")
      const probe = yield* start
      yield* probe.interrupt
      assert.deepStrictEqual(yield* state, halfOpen(false, 0))
      assert.strictEqual(yield* succeed, "done")
      assert.deepStrictEqual(yield* state, closed(0))
    }).pipe(withBreaker())
  )

  it.effect("a timeout inside counts, outside it does not", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      const inside = Effect.never.pipe(Effect.timeout("1 second"), breaker.protect("inside"), Effect.exit)
      const outside = Effect.never.pipe(breaker.protect("outside"), Effect.timeout("1 second"), Effect.exit)
      const runs = yield* Effect.forkChild(Effect.all([inside, outside], { concurrency: 2 }))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(runs)
      assert.deepStrictEqual(yield* breaker.state("inside"), closed(1))
      assert.deepStrictEqual(yield* breaker.state("outside"), closed(0))
    }).pipe(withBreaker())
  )

  it.effect("CIRCUIT_OPEN of a breaker inside counts nothing and frees the probe", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      const outer = yield* plugin("outer")
      yield* breaker.trip("inner")
      const nested = Effect.void.pipe(breaker.protect("inner"), breaker.protect("outer"), Effect.flip)
      assert.strictEqual((yield* nested).plugin, "inner")
      assert.deepStrictEqual(yield* outer.state, closed(0))
      yield* outer.trip
      yield* TestClock.adjust("60 seconds")
      yield* breaker.trip("inner")
      yield* nested
      assert.deepStrictEqual(yield* outer.state, halfOpen(false, 0))
    }).pipe(withBreaker())
  )
})

describe("CircuitBreaker: late results", () => {
  it.effect("a run admitted before a trip cannot close what opened after it started", () =>
    Effect.gen(function* () {
      const { start, trip, state } = yield* plugin("p")
      const early = yield* start
      yield* trip
      yield* early.succeed
      assert.deepStrictEqual(yield* state, open(60_000, 0))
    }).pipe(withBreaker())
  )

  it.effect("an early run's end, whatever it is, leaves a later probe alone", () =>
    Effect.gen(function* () {
      for (const end of ["succeed", "fail", "interrupt"] as const) {
        const { start, trip, reset, refusal, state } = yield* plugin(end)
        yield* reset
        const early = yield* start
        yield* trip
        yield* TestClock.adjust("60 seconds")
        yield* start
        yield* early[end]
        assert.deepStrictEqual(yield* state, halfOpen(true, 0), end)
        assert.strictEqual((yield* refusal).failures, 0)
      }
    }).pipe(withBreaker())
  )

  it.effect("failures that land after the circuit opened do not prolong it", () =>
    Effect.gen(function* () {
      const { start, state } = yield* plugin("p")
      const runs = yield* Effect.replicateEffect(start, 5)
      for (const run of runs) {
        yield* run.fail
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(yield* state, open(62_000, 3))
    }).pipe(withBreaker())
  )

  it.effect("failures of runs that started before a reset no longer count", () =>
    Effect.gen(function* () {
      const { start, reset, state } = yield* plugin("p")
      const early = yield* start
      yield* reset
      yield* early.fail
      assert.deepStrictEqual(yield* state, closed(0))
    }).pipe(withBreaker())
  )
})

describe("CircuitBreaker: operators", () => {
  it.effect("trip opens from any state for a whole cooldown and keeps the count", () =>
    Effect.gen(function* () {
      const { fail, start, trip, state } = yield* plugin("p")
      yield* fail
      yield* trip
      assert.deepStrictEqual(yield* state, open(60_000, 1))
      yield* TestClock.adjust("10 seconds")
      yield* trip
      assert.deepStrictEqual(yield* state, open(70_000, 1))
      yield* TestClock.adjust("60 seconds")
      const probe = yield* start
      yield* trip
      yield* probe.succeed
      assert.deepStrictEqual(yield* state, open(130_000, 1))
    }).pipe(withBreaker())
  )

  it.effect("reset closes from any state with a count of 0", () =>
    Effect.gen(function* () {
      const { fail, start, trip, reset, state } = yield* plugin("p")
      yield* fail
      yield* reset
      assert.deepStrictEqual(yield* state, closed(0))
      yield* trip
      yield* reset
      assert.deepStrictEqual(yield* state, closed(0))
      yield* trip
      yield* TestClock.adjust("60 seconds")
      const probe = yield* start
      yield* reset
      yield* probe.fail
      assert.deepStrictEqual(yield* state, closed(0))
    }).pipe(withBreaker())
  )
})
