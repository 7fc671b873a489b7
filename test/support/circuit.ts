/** A plugin's circuit in tests: its runs with the ends they can come to, and its states. */
import { assert } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber } from "effect"
import { type BreakerOptions, CircuitBreaker } from "../../src/CircuitBreaker.ts"
import { CircuitOpen } from "../../src/Errors.ts"

export const closed = (failures: number) => ({ _tag: "Closed", failures }) as const
export const open = (until: number, failures: number) => ({ _tag: "Open", until, failures }) as const
export const halfOpen = (probing: boolean, failures: number) =>
  ({ _tag: "HalfOpen", probing, failures }) as const

export const withBreaker = (options?: BreakerOptions) => Effect.provide(CircuitBreaker.layer(options))

/** A plugin's run in some circuit, with the ends it can come to. */
export const plugin = Effect.fnUntraced(function* (name: string, policy?: BreakerOptions) {
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
