import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Layer } from "effect"
import { TestClock } from "effect/testing"
import { type BreakerOptions, CircuitBreaker, InvalidBreakerPolicy } from "../../src/CircuitBreaker.ts"
import { closed, open, plugin, withBreaker } from "../support/circuit.ts"

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
