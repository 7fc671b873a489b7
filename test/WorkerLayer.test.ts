/** `WorkerLayer.layerTest`: fakes under the real runtime. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CircuitBreaker } from "../src/CircuitBreaker.ts"
import type { PluginError, PluginErrorCode } from "../src/Errors.ts"
import { makeSpec, type PluginSpecOptions } from "../src/Plugin.ts"
import { linkifier } from "../src/PluginKinds.ts"
import { PluginRuntime } from "../src/Runtime.ts"
import { WorkerLayer } from "../src/WorkerLayer.ts"
import { message } from "./support/isolation.ts"

const failing = <A>(effect: Effect.Effect<A, PluginError, PluginRuntime>, code: PluginErrorCode) =>
  Effect.map(Effect.flip(effect), (error) => assert.strictEqual(error._tag, code, error.message))

describe("on layerTest", () => {
  const fakes = Layer.provide(
    PluginRuntime.layer,
    Layer.mergeAll(
      CircuitBreaker.layer(),
      WorkerLayer.layerTest({
        right: () => Effect.succeed([{ kind: "x", span: { start: 0, end: 1 }, data: {} }]),
        wrong: () => Effect.succeed([{ kind: "x", span: { start: 1, end: 0 }, data: {} }]),
        configured: (input) => Effect.succeed([{ kind: "x", span: { start: 0, end: 1 }, data: input }]),
        slow: () => Effect.never
      })
    )
  )
  const run = (name: string, options: Partial<PluginSpecOptions<typeof linkifier>> = {}) =>
    Effect.flatMap(PluginRuntime, (runtime) =>
      runtime.run(makeSpec({ name, kind: linkifier, modulePath: `/${name}.ts`, ...options }), { message })
    )
  const live = (name: string, test: () => Effect.Effect<unknown, unknown, PluginRuntime>) =>
    it.live(name, () => Effect.provide(test(), fakes))

  live("answers", () => Effect.map(run("right"), (output) => assert.strictEqual(output.length, 1)))
  live("gives message and config", () =>
    Effect.map(run("configured", { config: { a: 1 } }), (output) =>
      assert.deepStrictEqual(output[0]?.data, { message, config: { a: 1 } })
    )
  )
  live("validates", () => failing(run("wrong"), "INVALID_OUTPUT"))
  live("keeps the deadline", () => failing(run("slow", { timeout: 20 }), "TIMEOUT"))
  live("knows no other plugin", () => failing(run("other"), "LOAD_ERROR"))
  live("opens the circuit", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 3; n++) yield* failing(run("wrong"), "INVALID_OUTPUT")
      yield* failing(run("wrong"), "CIRCUIT_OPEN")
      yield* run("right")
    })
  )
})
