/** The test kit of a hub's author: fakes in place of the plugins, everything else real. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker } from "../src/CircuitBreaker.ts"
import { ExecutionError, InvalidOutput, LoadError } from "../src/Errors.ts"
import { makeSpec } from "../src/Plugin.ts"
import { linkifier } from "../src/PluginKinds.ts"
import { PluginRuntime } from "../src/Runtime.ts"
import { layerFakePlugins } from "../src/testing.ts"
import { WorkerLayer } from "../src/WorkerLayer.ts"
import { messageOf } from "./fixtures/library/message.ts"

const run = (name: string, text = "text") =>
  Effect.flatMap(PluginRuntime, (runtime) =>
    runtime.run(makeSpec({ name, kind: linkifier, modulePath: `/nowhere/${name}.ts` }), {
      message: messageOf(text)
    })
  )
const found = [{ kind: "url", span: { start: 0, end: 4 }, data: {} }]

describe("layerFakePlugins", () => {
  it.effect("runs the function of the spec's name; no module is looked for", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run("urls"), found)
      assert.instanceOf(yield* Effect.flip(run("other")), LoadError)
      assert.deepStrictEqual(yield* (yield* WorkerLayer).stats, {
        isolates: 0,
        zombies: 0,
        levels: new Map()
      })
    }).pipe(Effect.provide(layerFakePlugins({ urls: () => Effect.succeed(found) })))
  )

  it.effect("holds a fake's output to the rules of its kind, the input's too", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run("urls", "long enough"), found)
      const error = yield* Effect.flip(run("urls", "no"))
      assert.instanceOf(error, InvalidOutput)
      assert.strictEqual(error.issue, "[0].span.end: expected at most 2 (the message's length), got 4")
    }).pipe(Effect.provide(layerFakePlugins({ urls: () => Effect.succeed(found) })))
  )

  it.effect("a fake that never answers meets its deadline on the test's clock, and then the breaker", () =>
    Effect.gen(function* () {
      for (const code of ["TIMEOUT", "TIMEOUT", "TIMEOUT", "CIRCUIT_OPEN"]) {
        const fiber = yield* Effect.forkChild(Effect.flip(run("slow")), { startImmediately: true })
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* Fiber.join(fiber))._tag, code)
      }
    }).pipe(Effect.provide(layerFakePlugins({ slow: () => Effect.never })))
  )

  it.effect("takes a policy for the breaker, which the test can see and move", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      assert.instanceOf(yield* Effect.flip(run("bad")), ExecutionError)
      assert.strictEqual((yield* breaker.state("bad"))._tag, "Open")
      yield* breaker.reset("bad")
      assert.instanceOf(yield* Effect.flip(run("bad")), ExecutionError)
    }).pipe(
      Effect.provide(
        layerFakePlugins(
          {
            bad: () => Effect.fail(new ExecutionError({ plugin: "bad", cause: { name: "E", message: "m" } }))
          },
          { failureThreshold: 1 }
        )
      )
    )
  )

  it.effect("a fake that answers what cannot be JSON fails as the real one would", () =>
    Effect.gen(function* () {
      const cyclic: Array<unknown> = []
      cyclic.push(cyclic)
      for (const value of [1n, cyclic, undefined]) {
        const layer = layerFakePlugins({ bad: () => Effect.succeed(value) })
        assert.instanceOf(yield* Effect.flip(Effect.provide(run("bad"), layer)), InvalidOutput)
      }
    })
  )

  it.effect("two layers share nothing", () =>
    Effect.gen(function* () {
      const layer = () => layerFakePlugins({ bad: () => Effect.succeed(null) }, { failureThreshold: 1 })
      for (let n = 0; n < 2; n++) {
        assert.instanceOf(yield* Effect.flip(Effect.provide(run("bad"), layer())), InvalidOutput)
      }
    })
  )
})
