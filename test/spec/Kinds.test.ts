/** What a plugin that does not load says of itself, and what kind one is. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import {
  CircuitBreaker,
  extractor,
  kindOf,
  linkifier,
  makeSpec,
  PluginRuntime,
  WorkerLayer
} from "../../src/index.ts"

const runtime = PluginRuntime.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(CircuitBreaker.layer(), WorkerLayer.layer({ spares: 0, prepare: [] })))
)

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-kinds-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true }))
)

const specOf = Effect.fnUntraced(function* (
  source: string,
  options: {
    readonly isolation?: "thread" | "process" | "wasm"
    readonly config?: { readonly [key: string]: unknown }
  } = {}
) {
  const modulePath = path.join(yield* folder, "plugin.ts")
  fs.writeFileSync(modulePath, source)
  return makeSpec({ name: "p", kind: linkifier, modulePath, ...options })
})

const kinds = [linkifier, extractor]
const refusesConfig = `configSchema: { "~standard": { version: 1, vendor: "x", validate: () => ({ issues: [{ message: "no" }] }) } }`

describe("kindOf", () => {
  it.live.each([
    ["enrich() { return [] }", "linkifier"],
    ["extract() { return [] }", "extractor"]
  ] as const)("tells %s", ([method, name]) =>
    Effect.gen(function* () {
      const spec = yield* specOf(`export default { name: "x", version: "1.0.0", ${method} }`)
      assert.strictEqual((yield* kindOf(spec, kinds)).name, name)
    }).pipe(Effect.provide(runtime))
  )

  it.live.each(["thread", "process", "wasm"] as const)("loads the module once, on %s", (isolation) => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => lines.push(String(message)))
    return Effect.gen(function* () {
      const spec = yield* specOf(
        "console.log('evaluated'); export default { name: 'x', extract() { return [] } }",
        { isolation }
      )
      assert.strictEqual((yield* kindOf(spec, kinds)).name, "extractor")
      assert.lengthOf(
        lines.filter((line) => line.includes("evaluated")),
        1
      )
    }).pipe(Effect.provide(runtime), Effect.provide(Logger.layer([logger])))
  })

  it.live.each([
    [
      "of neither",
      "export default { name: 'x' }",
      /no default export with a method "enrich" \(linkifier\) or "extract"/
    ],
    [
      "of both",
      "export default { enrich() {}, extract() {} }",
      /more than one kind: it has "enrich".* and "extract"/
    ],
    [
      "whose config is refused",
      `export default { extract() {}, ${refusesConfig} }`,
      /refuses the config: config: no/
    ],
    [
      "that needs more",
      "export default { extract() {}, capabilities: { net: ['a.example'] } }",
      /net a\.example/
    ]
  ] as const)("fails for a module %s", ([, source, reason]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(kindOf(yield* specOf(source), kinds))
      assert.strictEqual(error._tag, "LOAD_ERROR")
      assert.match(error.message, reason)
    }).pipe(Effect.provide(runtime))
  )
})

describe("LOAD_ERROR", () => {
  it.live.each(["thread", "process", "wasm"] as const)(
    "has what the module threw, and where, on %s",
    (isolation) =>
      Effect.gen(function* () {
        const spec = yield* specOf("\n\nthrow new TypeError('at \\u001b[31m once')", { isolation })
        const error = yield* Effect.flip(PluginRuntime.use((runtime) => runtime.load(spec)))
        assert(error._tag === "LOAD_ERROR" && error.cause !== undefined)
        assert.strictEqual(error.cause.name, "TypeError")
        assert.strictEqual(error.cause.message, "at \\u001b[31m once")
        assert.match(error.cause.stack ?? "", /plugin\.ts:3:/)
        assert.notProperty(error, "missingMethod")
      }).pipe(Effect.provide(runtime))
  )

  it.live.each(["thread", "process", "wasm"] as const)(
    "names the method that is missing, on %s",
    (isolation) =>
      Effect.gen(function* () {
        const spec = yield* specOf("export default { extract() {} }", { isolation })
        const error = yield* Effect.flip(PluginRuntime.use((runtime) => runtime.load(spec)))
        assert(error._tag === "LOAD_ERROR")
        assert.strictEqual(error.missingMethod, "enrich")
        assert.notProperty(error, "cause")
      }).pipe(Effect.provide(runtime))
  )
})
