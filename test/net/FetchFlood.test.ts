/** A plugin that opens requests in a loop is refused inside its isolate, because reading them would block the host. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import { linkifier, PluginRuntime } from "../../src/index.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"

const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-flood-")))
afterAll(() => fs.rmSync(folder, { recursive: true }))

const asked = 5_000
const plugin = (name: string, open: string): string => {
  const modulePath = path.join(folder, `${name}.mjs`)
  fs.writeFileSync(
    modulePath,
    `export default {
  name: "${name}",
  version: "1.0.0",
  async enrich(input, { fetch }) {
    let kept = 0
    const all = []
    for (let n = 0; n < ${asked}; n++) {
      all.push((${open}).catch((error) => { if (String(error).includes("have no answer yet")) kept++ }))
    }
    await Promise.all(all)
    // Those that the host has answered make room again.
    const after = await fetch("https://refused.example/").then(() => "", String)
    return [{ kind: kept + " kept; " + after, span: { start: 0, end: 1 }, data: {} }]
  }
}`
  )
  return modulePath
}
const opens = plugin("opens", `fetch("https://refused.example/")`)

for (const level of levels) {
  layer(layerRuntime())(level.name, (it) => {
    it.effect(`of ${asked} simultaneous requests only the first reach the host`, () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const spec = specOn(level, { name: "opens", kind: linkifier, modulePath: opens })
        for (let run = 0; run < 2; run++) {
          const [first] = yield* runtime.run(spec, { message })
          assert.match(first?.kind ?? "", new RegExp(`^${asked - 512} kept; `))
          assert.notInclude(first?.kind, "have no answer yet")
        }
      })
    )
  })
}
