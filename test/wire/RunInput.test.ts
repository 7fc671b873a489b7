/** Inputs with long texts: a plugin gets the same input as through JSON, however the texts cross. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, SchemaGetter } from "effect"
import * as path from "node:path"
import { makeKind } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { joinInput, longText, splitInput } from "../../src/wire/runInput.ts"
import { layerRuntime, levels, specOn } from "../support/isolation.ts"
import { temporary, write } from "../support/plugins.ts"

const long = (start: string): string => start.repeat(longText)

const inputs: { readonly [what: string]: object } = {
  "no text": { n: 1 },
  "a text just too short": { text: "x".repeat(longText - 1), message: { text: "y" } },
  "a long field": { text: long("x"), other: 1 },
  "long fields of fields, in their order": {
    a: { b: long("ä\n\u2028"), c: 1, d: long("漢😀") },
    e: long('"\\')
  },
  "half surrogate pairs": { message: { text: `${long("a")}\ud800`, other: long("\udc00") } },
  "names that every object has": JSON.parse(
    `{"__proto__":{"constructor":"${long("p")}"},"toString":"${long("t")}"}`
  ),
  "long texts deeper and in lists": { a: { b: { c: long("x") } }, list: [long("y")] },
  "an object that writes itself": { date: { toJSON: () => "short", text: long("z") } },
  "fields without JSON": {
    a: undefined,
    b: () => 1,
    text: long("x"),
    message: { c: undefined, text: long("y") }
  },
  "an instance of a class": {
    own: new (class {
      text = long("x")
      get hidden(): string {
        return long("y")
      }
    })()
  }
}

describe("A run's input", () => {
  for (const [what, input] of Object.entries(inputs)) {
    it(`is restored: ${what}`, () => {
      const text = JSON.stringify(input)
      // As a message port does.
      const joined = joinInput(structuredClone(splitInput(input)))
      assert.strictEqual(JSON.stringify(joined), text)
      assert.deepStrictEqual(joined, JSON.parse(text))
    })
  }

  it("carries its long texts beside the JSON, unchanged", () => {
    const { json, texts } = splitInput({ text: long("x"), message: { id: "1", text: long("y") } })
    assert.strictEqual(json, '{"text":"","message":{"id":"1","text":""}}')
    assert.deepStrictEqual(texts, [
      { field: "text", inner: undefined, text: long("x") },
      { field: "message", inner: "text", text: long("y") }
    ])
  })
})

const anything = makeKind({
  name: "anything",
  method: "enrich",
  input: Schema.Record(Schema.String, Schema.Unknown),
  output: Schema.String
})

const Slow = Schema.String.pipe(
  Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.passthrough(),
    encode: SchemaGetter.transformEffect((text: string) => Effect.delay(Effect.succeed(text), "1 millis"))
  })
)
const slow = makeKind({
  name: "slow",
  method: "enrich",
  input: Schema.Struct({ first: Slow, field: Schema.Unknown }),
  output: Schema.String
})

/** Patches everything that restoring the texts could call, then returns its input without the config. */
const source = `Object.defineProperty(Object.prototype, "text", { set() { throw new Error("patched") }, get: () => 1, configurable: true })
Object.defineProperty(Object.prototype, "texts", { get() { return [{ field: "stolen", text: "" }] }, set() {}, configurable: true })
JSON.parse = () => { throw new Error("patched") }
export default {
  name: "echo",
  version: "1.0.0",
  enrich({ config, ...input }) {
    return JSON.stringify(input)
  }
}`

/** What the `toJSON` of an input does, and what the error says. */
const refused: ReadonlyArray<readonly [what: string, toJSON: () => unknown, says: string]> = [
  ["returns nothing", () => undefined, "it must be an object"],
  ["returns null", () => null, "it must be an object"],
  ["returns a number", () => 1, "it must be an object"],
  ["returns a text", () => "{}", "it must be an object"],
  ["returns a list", () => [{}], "it must be an object"],
  [
    "throws an error",
    () => {
      throw new TypeError("no JSON today")
    },
    "TypeError: no JSON today"
  ],
  [
    "throws an object without a text",
    () => {
      throw Object.create(null)
    },
    "an object was thrown"
  ]
]

for (const level of levels.filter(({ reuse }) => reuse === "plugin")) {
  describe(`A run's input on ${level.name}`, () => {
    const echo = Effect.gen(function* () {
      const folder = yield* temporary
      const runtime = yield* PluginRuntime
      const spec = specOn(level, {
        name: "echo",
        kind: anything,
        modulePath: write(path.join(folder, "echo.mjs"), source),
        timeout: "20 seconds"
      })
      return { runtime, spec }
    })

    it.live("whose toJSON returns no object is refused as the caller's mistake", () =>
      Effect.gen(function* () {
        const { runtime, spec } = yield* echo
        // The first round has no isolate. The second has one that has loaded the plugin.
        for (let round = 0; round < 2; round++) {
          for (const [what, toJSON, says] of refused) {
            const error = yield* Effect.flip(runtime.run(spec, { toJSON }))
            assert(error._tag === "EXECUTION_ERROR", what)
            assert.isTrue(error.inputRefused, what)
            assert.include(error.message, says, what)
          }
          const itself = yield* runtime.run(spec, { toJSON: () => ({ text: long("x") }) })
          assert.strictEqual(itself, JSON.stringify({ text: long("x") }))
        }
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )

    it.live("with a field that cannot be read is refused as the caller's mistake, at any depth", () =>
      Effect.gen(function* () {
        const { runtime, spec } = yield* echo
        const unreadable = (thrown: unknown) =>
          Object.defineProperty({}, "field", {
            enumerable: true,
            get() {
              throw thrown
            }
          })
        const closed = new Proxy(
          {},
          {
            ownKeys() {
              throw new TypeError("closed")
            }
          }
        )
        for (let round = 0; round < 2; round++) {
          for (const [what, input, says] of [
            ["at the top", unreadable(new TypeError("no value today")), "TypeError: no value today"],
            ["deeper", { deep: unreadable(new TypeError("no value today")) }, "TypeError: no value today"],
            ["throws no error", unreadable("a text"), '"a text" was thrown'],
            ["a proxy", closed, "TypeError: closed"]
          ] as const) {
            const error = yield* Effect.flip(runtime.run(spec, input))
            assert(error._tag === "EXECUTION_ERROR", what)
            assert.isTrue(error.inputRefused, what)
            assert.include(error.message, says, what)
          }
          // After a field that its schema encodes asynchronously.
          const late = { ...spec, name: "late", kind: slow }
          const input = {
            first: "a",
            get field(): unknown {
              throw new TypeError("no value today")
            }
          }
          const error = yield* Effect.flip(runtime.run(late, input))
          assert(error._tag === "EXECUTION_ERROR")
          assert.isTrue(error.inputRefused)
          assert.include(error.message, "no value today")
          assert.strictEqual(yield* runtime.run(spec, { a: 1 }), '{"a":1}')
        }
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )

    it.live("arrives as through JSON, with or without long texts, whatever the plugin has patched", () =>
      Effect.gen(function* () {
        const { runtime, spec } = yield* echo
        // At once, so that messages with and without long texts follow each other.
        const outputs = yield* Effect.forEach(
          Object.values(inputs),
          (input) => runtime.run(spec, { ...input }),
          { concurrency: "unbounded" }
        )
        // Half surrogate pairs come back as escapes.
        assert.deepStrictEqual(
          outputs,
          Object.values(inputs).map((input) => JSON.stringify({ ...input }))
        )
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )
  })
}
