/** A flood of log lines shares the host's event loop with all other work. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { fileURLToPath } from "node:url"
import { linkifier, PluginRuntime } from "../../../src/index.ts"
import { layerRuntime, levels, message, specOn } from "../../support/isolation.ts"

const modulePath = fileURLToPath(new URL("../../fixtures/rogues/log-held-loop.ts", import.meta.url))

for (const level of levels.filter(({ isolation, reuse }) => isolation !== "wasm" && reuse === "plugin")) {
  describe(`Log lines on ${level.name}`, () => {
    it.live(
      "all arrive in order before the output, and other work runs between them",
      () => {
        const lines: Array<string> = []
        let inTurn = 0
        let most = 0
        // Slower than the lines arrive.
        const slow = Logger.make<unknown, void>(({ message }) => {
          lines.push(String(message))
          inTurn++
          for (const until = performance.now() + 0.2; performance.now() < until; );
        })
        return Effect.gen(function* () {
          const runtime = yield* PluginRuntime
          const limits = { logLines: 1_000_000, logLength: 100_000_000, messageRate: 1_000_000 }
          const spec = specOn(level, {
            name: "flood",
            kind: linkifier,
            modulePath,
            timeout: "60 seconds",
            limits
          })
          let done = false
          const turn = (): void => {
            most = Math.max(most, inTurn)
            inTurn = 0
            if (!done) setImmediate(turn)
          }
          turn()
          yield* runtime.run(spec, { message })
          done = true
          turn()
          assert.strictEqual(lines.length, 5_000)
          assert.deepStrictEqual([lines[0], lines.at(-1)], ["line 0", "line 4999"])
          assert.isAtMost(most, 60, "8 ms of a turn, at 0.2 ms a line")
        }).pipe(Effect.provide(layerRuntime()), Effect.provide(Logger.layer([slow])))
      },
      90_000
    )
  })
}
