/** A half-open breaker with a crowd before it: one probe runs, in whatever isolate there is, and decides for all. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger, Result } from "effect"
import { TestClock } from "effect/testing"
import { fileURLToPath } from "node:url"
import { CircuitBreaker } from "../../src/CircuitBreaker.ts"
import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"
import { dataOf, failing } from "../support/plugins.ts"

const obedient = fileURLToPath(new URL("../fixtures/good/obedient.ts", import.meta.url))
const callers = 200

// The tests move the clock by a minute: an idle isolate must live longer, or a sweep may replace it meanwhile.
const live = layerRuntime(1, { idleTimeToLive: "1 hour" })

for (const level of levels.filter(({ reuse }) => reuse === "plugin")) {
  // Time is the test's: no deadline passes and no circuit cools down but where it is said.
  const spec = specOn(level, {
    name: "obedient",
    kind: linkifier,
    modulePath: obedient,
    timeout: "30 seconds"
  })
  const run = (order: string) =>
    Effect.flatMap(PluginRuntime, (runtime) =>
      runtime.run(spec, { message: { ...message, content_raw: order } })
    )
  const crowd = (order: string) =>
    Effect.forEach(Array.from({ length: callers }), () => Effect.result(run(order)), {
      concurrency: "unbounded"
    })
  const counts = (results: ReadonlyArray<Result.Result<unknown, { readonly _tag: string }>>) => {
    const counted: Record<string, number> = {}
    for (const result of results) {
      const code = Result.isSuccess(result) ? "ok" : result.failure._tag
      counted[code] = (counted[code] ?? 0) + 1
    }
    return counted
  }
  const runsOf = (results: ReadonlyArray<Result.Result<Parameters<typeof dataOf>[0], unknown>>) =>
    results.flatMap((result) => (Result.isSuccess(result) ? [dataOf(result.success)["runs"]] : []))
  const state = Effect.flatMap(CircuitBreaker, (breaker) => breaker.state("obedient"))
  const cool = TestClock.adjust("60 seconds")

  // How the circuit was opened, and the `runs` of an isolate by then: none where it is gone.
  const ends = [
    ["one that stays warm", "throw", "EXECUTION_ERROR", 1],
    ...(level.isolation === "wasm" ? [] : [["one that is gone", "exit 3", "WORKER_CRASH", 0] as const])
  ] as const

  describe(`A half-open circuit on ${level.name}`, () => {
    for (const [what, order, code, before] of ends) {
      it.effect(`lets one of ${callers} probe, with ${what}; then all run`, () =>
        Effect.gen(function* () {
          yield* failing(run(order), code)
          assert.deepStrictEqual(counts(yield* crowd("answer")), { CIRCUIT_OPEN: callers })
          yield* cool
          const probing = yield* crowd("sleep 300")
          assert.deepStrictEqual(counts(probing), { ok: 1, CIRCUIT_OPEN: callers - 1 })
          assert.deepStrictEqual(yield* state, { _tag: "Closed", failures: 0 })
          const after = yield* crowd("answer")
          assert.deepStrictEqual(counts(after), { ok: callers })
          // QuickJS forgets what a run has changed.
          const expected = (n: number) => (level.isolation === "wasm" ? 1 : before + n)
          assert.deepStrictEqual(
            [...runsOf(probing), ...runsOf(after)],
            Array.from({ length: 1 + callers }, (_, n) => expected(n + 1)),
            "nothing has run but the probe and those after it"
          )
        }).pipe(Effect.provide(live))
      )

      it.effect(`opens again when the probe of ${callers} fails, with ${what}`, () =>
        Effect.gen(function* () {
          yield* failing(run(order), code)
          yield* cool
          assert.deepStrictEqual(counts(yield* crowd(order)), { [code]: 1, CIRCUIT_OPEN: callers - 1 })
          assert.strictEqual((yield* state)._tag, "Open")
          yield* TestClock.adjust("59999 millis")
          yield* failing(run("answer"), "CIRCUIT_OPEN")
          yield* TestClock.adjust("1 millis")
          yield* run("answer")
        }).pipe(Effect.provide(live))
      )
    }

    it.effect("has another probe when the caller of the first goes away", () =>
      Effect.gen(function* () {
        yield* failing(run("throw"), "EXECUTION_ERROR")
        yield* cool
        const begun = yield* Deferred.make<void>()
        const logger = Logger.make<unknown, void>(() => Deferred.doneUnsafe(begun, Effect.void))
        const probe = yield* Effect.forkChild(run("spin").pipe(Effect.provide(Logger.layer([logger]))))
        yield* Deferred.await(begun)
        assert.deepStrictEqual(counts(yield* crowd("answer")), { CIRCUIT_OPEN: callers })
        yield* Fiber.interrupt(probe)
        const next = yield* crowd("sleep 300")
        assert.deepStrictEqual(counts(next), { ok: 1, CIRCUIT_OPEN: callers - 1 })
        assert.deepStrictEqual(counts(yield* crowd("answer")), { ok: callers })
      }).pipe(Effect.provide(live))
    )
  })
}
