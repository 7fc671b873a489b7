/** What a guest itself goes by stays what it was, whatever a plugin makes of the built-in modules it is given. */
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

// The WebAssembly level has no built-ins of Node's.
for (const level of levels.filter(({ isolation }) => isolation !== "wasm")) {
  layer(layerRuntime())(level.name, (it) => {
    for (const enforcement of ["enforce", "audit"] as const) {
      it.effect(`a plugin hears nothing of the guest's own calls (${enforcement})`, () =>
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
  })
}
