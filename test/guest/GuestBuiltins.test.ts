/** A plugin that patches built-in modules does not change the guest's own code. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import { linkifier, PluginRuntime } from "../../src/index.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"

const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-builtins-")))
afterAll(() => fs.rmSync(folder, { recursive: true }))
const modulePath = path.join(folder, "patches.mjs")
fs.writeFileSync(
  modulePath,
  `import fs from "node:fs"
import path from "node:path"
import url from "node:url"
const heard = []
for (const [module, names] of [[url, ["fileURLToPath"]], [path, ["basename", "dirname", "join", "resolve"]]]) {
  for (const name of names) {
    const original = module[name]
    // Some Nodes freeze \`path\` where there are permissions: nothing to hear there.
    Reflect.set(module, name, (...args) => {
      heard.push(name)
      return original(...args)
    })
  }
}
export default {
  name: "patches",
  version: "1.0.0",
  enrich() {
    url.fileURLToPath("file:///the/patch/works")
    fs.existsSync(new URL("file:///nothing"))
    fs.existsSync("/nothing")
    return [{ kind: heard.join(" "), span: { start: 0, end: 1 }, data: {} }]
  }
}`
)

const randomPath = path.join(folder, "random.mjs")
fs.writeFileSync(
  randomPath,
  `const problemOf = (array) => {
  try {
    return crypto.getRandomValues(array) === array ? "none" : "another array"
  } catch ({ name }) {
    return name
  }
}
class Liar extends Uint32Array {
  get byteLength() {
    return 2 ** 20
  }
}
export default {
  name: "random",
  version: "1.0.0",
  enrich() {
    const part = new Uint8Array(96).subarray(32, 64)
    crypto.getRandomValues(part)
    const filled = new Uint8Array(part.buffer).reduce((found, byte, at) => (byte === 0 ? found : [...found, at]), [])
    const kinds = [
      ...[new Uint8Array(65_536), new BigInt64Array(2), new Liar(4)].map(problemOf),
      ...[new Uint8Array(65_537), new Float32Array(1), new DataView(new ArrayBuffer(8)), [1], undefined].map(problemOf),
      filled.length > 16 && filled.every((at) => at >= 32 && at < 64) ? "only its part" : "elsewhere"
    ]
    return kinds.map((kind) => ({ kind, span: { start: 0, end: 1 }, data: {} }))
  }
}`
)

// The WebAssembly level has no built-ins of Node's.
for (const level of levels.filter(({ isolation }) => isolation !== "wasm")) {
  layer(layerRuntime())(level.name, (it) => {
    for (const enforcement of ["enforce", "audit"] as const) {
      it.effect(`a plugin's patches see none of the guest's own calls (${enforcement})`, () =>
        Effect.gen(function* () {
          const runtime = yield* PluginRuntime
          const spec = specOn(level, { name: "patches", kind: linkifier, modulePath, enforcement })
          const output = yield* runtime.run(spec, { message })
          assert.deepStrictEqual(
            output.map(({ kind }) => kind),
            ["fileURLToPath"]
          )
        })
      )
    }
    it.effect("getRandomValues fills what it is given, and nothing else", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const spec = specOn(level, { name: "random", kind: linkifier, modulePath: randomPath })
        const output = yield* runtime.run(spec, { message })
        const kinds = output.map(({ kind }) => kind)
        const mismatch = "TypeMismatchError"
        assert.deepStrictEqual(kinds.slice(0, 3), ["none", "none", "none"])
        assert.deepStrictEqual(kinds.slice(3, 8), [
          "QuotaExceededError",
          mismatch,
          mismatch,
          mismatch,
          mismatch
        ])
        assert.strictEqual(kinds[8], "only its part")
      })
    )
  })
}
