import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Duration, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  type BreakerChange,
  type BreakerOptions,
  type BreakerState,
  CircuitBreaker,
  InvalidBreakerPolicy
} from "../src/CircuitBreaker.ts"
import { CircuitOpen } from "../src/Errors.ts"

const closed = (failures: number) => ({ _tag: "Closed", failures }) as const
const open = (until: number, failures: number) => ({ _tag: "Open", until, failures }) as const
const halfOpen = (probing: boolean, failures: number) => ({ _tag: "HalfOpen", probing, failures }) as const

const withBreaker = (options?: BreakerOptions) => Effect.provide(CircuitBreaker.layer(options))

/** A plugin's run in some circuit, with the ends it can come to. */
const plugin = Effect.fnUntraced(function* (name: string, policy?: BreakerOptions) {
  const breaker = yield* CircuitBreaker
  const guard = breaker.protect(name, policy)
  /** A run that is in flight until it is ended. */
  const start = Effect.gen(function* () {
    const end = yield* Deferred.make<"done", "boom">()
    const admitted = yield* Deferred.make<void>()
    const fiber = yield* Effect.forkChild(
      guard(Effect.andThen(Deferred.succeed(admitted, undefined), Deferred.await(end))),
      { startImmediately: true }
    )
    yield* Deferred.await(admitted)
    return {
      succeed: Effect.andThen(Deferred.succeed(end, "done"), Fiber.await(fiber)),
      fail: Effect.andThen(Deferred.fail(end, "boom"), Fiber.await(fiber)),
      interrupt: Fiber.interrupt(fiber)
    }
  })
  return {
    succeed: guard(Effect.succeed("done")),
    fail: Effect.flip(guard(Effect.fail("boom"))),
    die: Effect.exit(guard(Effect.die("defect"))),
    refusal: Effect.flip(guard(Effect.die("must not run"))).pipe(
      Effect.map((error) => {
        assert.instanceOf(error, CircuitOpen)
        return { failures: error.failures, retryAfter: Duration.toMillis(error.retryAfter) }
      })
    ),
    start,
    trip: breaker.trip(name),
    reset: breaker.reset(name),
    state: breaker.state(name)
  }
})

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

  it.effect("a run that meets a probe waits for the cooldown where that is shorter than a second", () =>
    Effect.gen(function* () {
      const { trip, start, refusal } = yield* plugin("p")
      yield* trip
      yield* TestClock.adjust("250 millis")
      yield* start
      assert.deepStrictEqual(yield* refusal, { failures: 0, retryAfter: 250 })
    }).pipe(withBreaker({ cooldown: "250 millis" }))
  )

  it.effect("a failed probe opens again and goes on counting", () =>
    Effect.gen(function* () {
      const { fail, refusal, state } = yield* plugin("p")
      yield* Effect.repeat(fail, { times: 2 })
      yield* TestClock.adjust("61 seconds")
      yield* fail
      assert.deepStrictEqual(yield* state, open(121_000, 4))
      assert.deepStrictEqual(yield* refusal, { failures: 4, retryAfter: 60_000 })
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

  it.effect("a failure that is interrupted on its way counts", () =>
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

describe("CircuitBreaker: policy", () => {
  it.effect("the Layer's policy holds for every name, a name's own goes over it", () =>
    Effect.gen(function* () {
      const usual = yield* plugin("usual")
      const own = yield* plugin("own", { failureThreshold: 1 })
      yield* usual.fail
      yield* own.fail
      assert.deepStrictEqual(yield* usual.state, closed(1))
      assert.deepStrictEqual(yield* own.state, open(5_000, 1))
      yield* usual.fail
      assert.deepStrictEqual(yield* usual.state, open(5_000, 2))
    }).pipe(withBreaker({ failureThreshold: 2, cooldown: "5 seconds" }))
  )

  it.effect("each option alone goes over the Layer's, and a new policy over the last one", () =>
    Effect.gen(function* () {
      const long = yield* plugin("p", { cooldown: "9 seconds" })
      const early = yield* plugin("p", { failureThreshold: 1 })
      yield* long.fail
      yield* long.fail
      assert.deepStrictEqual(yield* long.state, open(9_000, 2))
      yield* long.reset
      yield* early.fail
      assert.deepStrictEqual(yield* early.state, open(5_000, 1))
    }).pipe(withBreaker({ failureThreshold: 2, cooldown: "5 seconds" }))
  )

  it.effect("a name keeps its own policy for trip and for runs that give none", () =>
    Effect.gen(function* () {
      const own = yield* plugin("p", { failureThreshold: 2, cooldown: "1 second" })
      const none = yield* plugin("p")
      yield* own.succeed
      yield* none.fail
      yield* none.fail
      assert.deepStrictEqual(yield* none.state, open(1_000, 2))
      yield* none.trip
      assert.deepStrictEqual(yield* none.state, open(1_000, 2))
      yield* TestClock.adjust("1 second")
      yield* own.succeed
      assert.deepStrictEqual(yield* own.state, closed(0))
    }).pipe(withBreaker())
  )

  const invalid: ReadonlyArray<readonly ["failureThreshold" | "cooldown", BreakerOptions]> = [
    ["failureThreshold", { failureThreshold: 0 }],
    ["failureThreshold", { failureThreshold: -1 }],
    ["failureThreshold", { failureThreshold: 1.5 }],
    ["failureThreshold", { failureThreshold: Number.NaN }],
    ["failureThreshold", { failureThreshold: Number.POSITIVE_INFINITY }],
    ["cooldown", { cooldown: 0 }],
    ["cooldown", { cooldown: "-1 seconds" }],
    ["cooldown", { cooldown: Duration.infinity }],
    ["cooldown", { cooldown: Number.NaN }]
  ]

  it.effect.each(invalid)("a Layer refuses %j", ([option, options]) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Layer.build(CircuitBreaker.layer(options)))
      assert.strictEqual(refusedOption(exit), option)
    })
  )

  it.effect.each(invalid)("protect refuses %j, before it runs anything", ([option, options]) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      const exit = yield* Effect.exit(breaker.protect("p", options)(Effect.die("must not run")))
      assert.strictEqual(refusedOption(exit), option)
      assert.deepStrictEqual(yield* breaker.state("p"), closed(0))
    }).pipe(withBreaker())
  )

  const refusedOption = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
    const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    return defect instanceof InvalidBreakerPolicy ? defect.option : undefined
  }
})

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

  it.effect("streams every transition in order, and nothing that is none", () =>
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

  it.effect("a subscriber that never reads holds nobody up and finds the newest 256", () =>
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
