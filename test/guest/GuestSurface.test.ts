/** A plugin reaches only the listed parts of Node, whatever a new version of Node adds. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { StringDecoder } from "node:string_decoder"
import { fileURLToPath } from "node:url"
import { linkifier, PluginRuntime } from "../../src/index.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/surface/${name}`, import.meta.url))

/**
 * Looked at when it was added: what it does with its state stays in the isolate, and ends it at most. `npm test` on a
 * new Node says what is to be looked at next.
 */
const known = new Set(fs.readFileSync(fixture("known.txt"), "utf8").split("\n"))

const encodings = ["utf8", "utf16le", "base64", "base64url", "hex", "latin1", "ascii"] as const
const texts = ["plain", "añ€😀", "😀😀", "\ud83d", "a\u0000b"]

/** A text's bytes, and some that are none, cut where no character ends. */
const runs = encodings.flatMap((encoding) =>
  [
    ...texts.flatMap((text) => [Buffer.from(text, "utf8"), Buffer.from(text, "utf16le")]),
    Buffer.from("c3", "hex"),
    Buffer.from("80e282", "hex"),
    Buffer.from("f09f98", "hex"),
    Buffer.from("00d8", "hex"),
    Buffer.from("3dd8", "hex")
  ].flatMap((bytes) =>
    [1, 2, 3, 100].map((size) => ({
      encoding,
      pieces: Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size).toString("hex")
      )
    }))
  )
)

// The WebAssembly level has nothing of Node's.
for (const level of levels.filter(({ isolation, reuse }) => isolation !== "wasm" && reuse === "plugin")) {
  layer(layerRuntime())(level.name, (it) => {
    it.effect("a plugin reaches only what is on the list", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const spec = specOn(level, { name: "surface", kind: linkifier, modulePath: fixture("plugin.ts") })
        const [output] = yield* runtime.run(spec, { message })
        const found = output?.data.found as ReadonlyArray<string>
        assert.isAbove(found.length, 300)
        assert.deepStrictEqual(
          found.filter((it) => !known.has(it)),
          []
        )
      })
    )

    it.effect("its decoders decode like Node's", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const modulePath = fixture("decoders.ts")
        const spec = specOn(level, { name: "decoders", kind: linkifier, modulePath, config: { runs } })
        const [output] = yield* runtime.run(spec, { message })
        const decoded = output?.data.decoded as ReadonlyArray<readonly [string, string]>
        runs.forEach(({ encoding, pieces }, at) => {
          const decoder = new StringDecoder(encoding)
          const text =
            pieces.map((piece) => decoder.write(Buffer.from(piece, "hex"))).join("") + decoder.end()
          const whole = new TextDecoder().decode(Buffer.from(pieces.join(""), "hex"))
          assert.deepStrictEqual(
            [...(decoded[at] ?? [])],
            [text, whole].map((it) => Buffer.from(it, "utf16le").toString("hex")),
            `${encoding} ${pieces.join(" ")}`
          )
        })
      })
    )
  })
}

describe("the list", () => {
  it("has nothing with native code that is known to be misused", () => {
    for (const name of [
      "Blob",
      "File",
      "URLPattern",
      "EventEmitterAsyncResource",
      "transcode",
      "structuredClone"
    ]) {
      assert.isFalse(
        [...known].some((line) => line.split(" ").includes(name)),
        name
      )
    }
    assert.isFalse([...known].some((line) => line.startsWith("symbol messaging_")))
  })
})
