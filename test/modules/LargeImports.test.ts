/** A plugin that imports a large package, with and without `integrity`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { linkifier, moduleIntegrity, PluginRuntime } from "../../src/index.ts"
import { ModuleServer } from "../../src/modules/ModuleServer.ts"
import { conditionsWith } from "../../src/modules/conditions.ts"
import { ModuleSources } from "../../src/modules/ModuleSource.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"

const modulePath = fileURLToPath(new URL("../fixtures/good/effectful.ts", import.meta.url))

describe("A large package", () => {
  for (const level of levels.filter(({ reuse }) => reuse === "plugin")) {
    it.live(`loads on ${level.isolation}, with and without integrity`, () =>
      Effect.gen(function* () {
        const plugins = yield* PluginRuntime
        const spec = specOn(level, { name: "effectful", kind: linkifier, modulePath, timeout: "20 seconds" })
        const [found] = yield* plugins.run(spec, { message })
        assert.deepStrictEqual(found?.data, { text: message.content_raw })
        const integrity = yield* moduleIntegrity(modulePath)
        const [pinned] = yield* plugins.run({ ...spec, integrity }, { message })
        assert.deepStrictEqual(pinned?.data, { text: message.content_raw })
      }).pipe(Effect.provide(layerRuntime()))
    )
  }

  it("arrives in one message, each module once", async () => {
    const serving = new ModuleServer({
      plugin: { entry: modulePath },
      sources: new ModuleSources(),
      conditions: conditionsWith([])
    })
    const { frame, files } = await serving.first([], [])
    const { modules, requests } = JSON.parse(frame.head)
    assert.isAbove(files.length, 100)
    assert.lengthOf(modules, files.length)
    // One for each import, and far more of them than modules.
    assert.isAbove(requests.length, modules.length)
    const urls = modules.map(([url]: [string]) => url)
    assert.lengthOf([...new Set(urls)], urls.length)
    assert.strictEqual(
      frame.body.length,
      modules.reduce((sum: number, [, , bytes]: [string, string, number]) => sum + bytes, 0)
    )
  })
})
