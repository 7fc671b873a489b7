/** An isolate whose plugin keeps nothing is not ended for memory that V8 has not collected yet. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as path from "node:path"
import { makeSpec } from "../../../src/Plugin.ts"
import { linkifier } from "../../../src/PluginKinds.ts"
import { PluginRuntime } from "../../../src/Runtime.ts"
import { layerRuntime, message } from "../../support/isolation.ts"
import { temporary, write } from "../../support/plugins.ts"

const kibibyte = 1024

/** A text whose characters take one byte each, and one with two bytes each. */
const latin = "no links here; "
const greek = "κανένας δεσμός; "
const callers = 64

/** Returns how many runs its isolate has had. */
const source = `let runs = 0
export default {
  name: "keeps-nothing",
  version: "1.0.0",
  enrich({ message }) {
    return [{ kind: "a", span: { start: 0, end: message.content_raw.length }, data: { runs: ++runs } }]
  }
}`

describe("Garbage of a thread", () => {
  for (const { text, size, runs, memory } of [
    { text: latin, size: 64 * kibibyte, runs: 8_000, memory: 32 },
    { text: latin, size: 1024 * kibibyte, runs: 300, memory: 128 },
    { text: greek, size: 64 * kibibyte, runs: 8_000, memory: 32 }
  ]) {
    it.live(
      `${runs} runs on ${size} characters of "${text}", ${callers} at once, stay below ${memory} MiB`,
      () =>
        Effect.gen(function* () {
          const folder = yield* temporary
          const runtime = yield* PluginRuntime
          const spec = makeSpec({
            name: "keeps-nothing",
            kind: linkifier,
            modulePath: write(path.join(folder, "keeps-nothing.mjs"), source),
            timeout: "20 seconds",
            limits: { memory }
          })
          const content_raw = text.repeat(Math.ceil(size / text.length)).slice(0, size)
          let most = 0
          yield* Effect.forEach(
            Array.from({ length: runs }, (_, n) => n),
            (n) =>
              Effect.map(
                runtime.run(spec, { message: { ...message, id: String(n), content_raw } }),
                ([first]) => {
                  assert.strictEqual(first?.span.end, size)
                  most = Math.max(most, Number(Reflect.get(first?.data ?? {}, "runs")))
                }
              ),
            { concurrency: callers, discard: true }
          )
          assert.strictEqual(most, runs, "one isolate ran them all")
        }).pipe(Effect.scoped, Effect.provide(layerRuntime())),
      120_000
    )
  }
})
