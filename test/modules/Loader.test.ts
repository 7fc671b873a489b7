/** The module loader under load: one plugin's files do not delay other plugins. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, describe } from "vitest"
import {
  CircuitBreaker,
  linkifier,
  makeSpec,
  moduleIntegrity,
  PluginRuntime,
  WorkerLayer
} from "../../src/index.ts"
import { message } from "../support/isolation.ts"

const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-loader-")))
afterAll(() => fs.rmSync(folder, { recursive: true }))
const write = (file: string, text: string): string => {
  const full = path.join(folder, file)
  fs.mkdirSync(path.dirname(full), { recursive: true })
  fs.writeFileSync(full, text)
  return full
}

const answers = (value: string): string =>
  `export default { enrich: () => [{ kind: "k", span: { start: 0, end: 1 }, data: { value: ${value} } }] }\n`

/** TypeScript of at least so many characters. */
const filler = (length: number): string => {
  const line = "export const add = (a: number, b: number): number => a + b\n"
  return Array.from({ length: Math.ceil(length / line.length) }, (_, index) =>
    line.replace("add", `add${index}`)
  ).join("")
}

const specOf = (modulePath: string) =>
  makeSpec({ name: path.basename(modulePath), kind: linkifier, modulePath, reuse: "never", timeout: 60_000 })

const valueOf = (spec: ReturnType<typeof specOf>) =>
  Effect.gen(function* () {
    const plugins = yield* PluginRuntime
    const [found] = yield* plugins.run(spec, { message })
    return found?.data.value
  })

const Live = PluginRuntime.layer.pipe(
  Layer.provideMerge(CircuitBreaker.layer()),
  Layer.provide(WorkerLayer.layerThread({ spares: 2 }))
)

describe("loader", () => {
  layer(Live, { excludeTestServices: true })((it) => {
    it.effect("a large module loads like any other, with and without integrity", () =>
      Effect.gen(function* () {
        const large = specOf(write("large/plugin.ts", filler(70_000) + answers("add1(1, 2)")))
        assert.strictEqual(yield* valueOf(large), 3)
        const integrity = yield* moduleIntegrity(large.modulePath)
        assert.strictEqual(yield* valueOf({ ...large, integrity }), 3)
        fs.appendFileSync(large.modulePath, "// changed")
        const refused = yield* Effect.flip(valueOf({ ...large, integrity }))
        assert.match(refused.message, /not those its integrity was made from/)
        assert.strictEqual(yield* valueOf(large), 3)
      })
    )

    it.effect("a large module that does not compile fails with the place of the error", () =>
      Effect.gen(function* () {
        const broken = specOf(write("broken/plugin.ts", `${filler(70_000)}const = 1\n`))
        const { message } = yield* Effect.flip(valueOf(broken))
        assert.match(message, /SyntaxError: .*broken\/plugin\.ts:\d+:\d+/)
      })
    )

    it.effect("a request is resolved anew each time", () =>
      Effect.gen(function* () {
        const part = write("parts/part.ts", "export const value = 'one'")
        const spec = specOf(
          write("parts/plugin.ts", `import { value } from "./part.ts"\n${answers("value as string")}`)
        )
        assert.strictEqual(yield* valueOf(spec), "one")
        assert.strictEqual(yield* valueOf(spec), "one")
        fs.writeFileSync(part, "export const value = 'another'")
        assert.strictEqual(yield* valueOf(spec), "another")
        fs.rmSync(part)
        assert.match((yield* Effect.flip(valueOf(spec))).message, /part\.ts/)
        fs.symlinkSync(write("outside.ts", "export const value = 'outside'"), part)
        assert.match((yield* Effect.flip(valueOf(spec))).message, /leads outside the plugin's folder/)
      })
    )
  })
})
