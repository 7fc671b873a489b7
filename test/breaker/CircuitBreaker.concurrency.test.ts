import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type BreakerChange, CircuitBreaker } from "../../src/CircuitBreaker.ts"
import { CircuitOpen } from "../../src/Errors.ts"
import { closed, halfOpen, open, plugin, withBreaker } from "../support/circuit.ts"

describe("CircuitBreaker: many fibers", () => {
  it.live("no failure is lost among a thousand at once", () =>
    Effect.gen(function* () {
      const { state, fail } = yield* plugin("p", { failureThreshold: 1_001 })
      const wobble = Effect.suspend(() =>
        Effect.repeat(Effect.yieldNow, { times: Math.floor(Math.random() * 5) })
      )
      yield* Effect.all(
        Array.from({ length: 1_000 }, () => Effect.andThen(wobble, fail)),
        { concurrency: "unbounded", discard: true }
      )
      assert.deepStrictEqual(yield* state, closed(1_000))
      yield* fail
      assert.strictEqual((yield* state)._tag, "Open")
    }).pipe(withBreaker())
  )

  it.effect("of a thousand that ask after the cooldown one runs, round after round", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      yield* breaker.trip("p")
      for (let round = 0; round < 20; round++) {
        yield* TestClock.adjust("60 seconds")
        let running = 0
        let ran = 0
        const run = Effect.gen(function* () {
          running++
          ran++
          assert.strictEqual(running, 1)
          yield* Effect.repeat(Effect.yieldNow, { times: 50 })
          running--
          return yield* Effect.fail("boom")
        }).pipe(breaker.protect("p"), Effect.exit)
        const exits = yield* Effect.all(
          Array.from({ length: 1_000 }, () => Effect.andThen(Effect.yieldNow, run)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(ran, 1)
        assert.strictEqual(exits.filter((exit) => exitError(exit) instanceof CircuitOpen).length, 999)
        assert.deepStrictEqual(exits.filter((exit) => exitError(exit) === "boom").length, 1)
      }
    }).pipe(withBreaker())
  )

  const exitError = (exit: Exit.Exit<unknown, unknown>): unknown =>
    Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
})

describe("CircuitBreaker: changes", () => {
  const tags = (changes: ReadonlyArray<BreakerChange>) =>
    changes.map(({ name, from, to }) => `${name}: ${from._tag} -> ${to._tag}`)

  it.effect("streams every transition in order, and nothing else", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      const { fail, succeed, trip, reset, start } = yield* plugin("p")
      const collecting = yield* Effect.forkChild(Stream.runCollect(Stream.take(breaker.changes, 6)), {
        startImmediately: true
      })
      yield* reset
      yield* succeed
      yield* Effect.repeat(fail, { times: 2 })
      yield* trip
      yield* TestClock.adjust("60 seconds")
      yield* fail
      yield* TestClock.adjust("60 seconds")
      const probe = yield* start
      yield* probe.interrupt
      yield* succeed
      yield* breaker.trip("q")
      const changes = yield* Fiber.join(collecting)
      assert.deepStrictEqual(tags(changes), [
        "p: Closed -> Open",
        "p: Open -> HalfOpen",
        "p: HalfOpen -> Open",
        "p: Open -> HalfOpen",
        "p: HalfOpen -> Closed",
        "q: Closed -> Open"
      ])
      assert.deepStrictEqual(changes[2], { name: "p", from: halfOpen(true, 3), to: open(120_000, 4) })
    }).pipe(withBreaker())
  )

  it.effect("a subscriber that never reads delays no run, and finds the newest 256 changes", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      const reading = yield* Deferred.make<void>()
      const collecting = yield* breaker.changes.pipe(
        Stream.rechunk(1),
        Stream.mapEffect((change) => Effect.as(Deferred.await(reading), change)),
        Stream.takeUntil(({ name }) => name === "last"),
        Stream.runCollect,
        (effect) => Effect.forkChild(effect, { startImmediately: true })
      )
      yield* Effect.forEach(Array.from({ length: 1_000 }), (_, index) => breaker.trip(`p${index}`))
      yield* breaker.trip("last")
      yield* Deferred.succeed(reading, undefined)
      const changes = yield* Fiber.join(collecting)
      const names = changes.map(({ name }) => name)
      const newest = Array.from({ length: 255 }, (_, index) => `p${745 + index}`)
      assert.deepStrictEqual(names.slice(-256), [...newest, "last"])
      // The one it had already taken, or none.
      assert.isAtMost(names.length, 257)
    }).pipe(withBreaker())
  )

  it.effect("ends with the Layer", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(CircuitBreaker.layer(), scope)
      const breaker = Context.get(services, CircuitBreaker)
      const collecting = yield* Effect.forkChild(Stream.runCollect(breaker.changes), {
        startImmediately: true
      })
      yield* breaker.trip("p")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(tags(yield* Fiber.join(collecting)), ["p: Closed -> Open"])
    })
  )
})
