/** What a workspace may hold, in all the ways it could be wrong: a config or a plugin loads, or says why not. */
import { afterAll, assert, describe, it, layer } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { loadConfig } from "../../src/Config.ts"
import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { Edits, edited, times } from "../support/fuzz.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"
import { goodPath } from "../support/meeting.ts"

const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-fuzz-")))
afterAll(() => fs.rmSync(folder, { recursive: true }))

let count = 0
const write = (files: { readonly [name: string]: string | Buffer }): string => {
  const root = path.join(folder, String(count++))
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(root, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, content)
  }
  return root
}

const config = {
  plugins: [
    {
      name: "urls",
      type: "linkifier",
      module: "./plugin.mjs",
      enabled: true,
      timeout: "5 seconds",
      grants: { net: ["example.com:443"], read: ["./data"], env: ["HOME"] },
      limits: { memory: 128, outputItems: 10 },
      breaker: { failureThreshold: 3, cooldown: "60 seconds" }
    }
  ]
}

/** The value with another in place of the members that are picked. */
const replaced = (value: unknown, by: unknown, pick: number): unknown => {
  let n = 0
  return JSON.parse(JSON.stringify(value), (key, member) => (key !== "" && n++ === pick ? by : member))
}

const plugin = `export default { name: "p", version: "1.0.0", enrich: () => [] }`

describe("a config file", () => {
  const loads = (source: string | Buffer) =>
    Effect.gen(function* () {
      const result = yield* Effect.result(
        loadConfig(write({ "agentlip.config.mjs": source, "plugin.mjs": plugin }))
      )
      if (Result.isFailure(result)) {
        assert.strictEqual(result.failure._tag, "ConfigError")
        assert.isNotEmpty(result.failure.problems)
        assert.isNotEmpty(result.failure.message)
      }
      const good = yield* loadConfig(write({}))
      assert.deepStrictEqual(good.specs, [])
    })

  it.live.prop(
    "with other values in it has specs or problems",
    { by: Schema.Json, pick: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 24 })) },
    ({ by, pick }) => loads(`export default ${JSON.stringify(replaced(config, by, pick))}`),
    times(60)
  )

  it.live.prop(
    "edited has specs or problems",
    { edits: Edits },
    ({ edits }) => loads(edited(Buffer.from(`export default ${JSON.stringify(config)}`), edits)),
    times(60)
  )
})

const [level] = levels
const Specifier = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.schema(
      Schema.Literals([
        ".",
        "..",
        "/",
        "\\",
        "#",
        "?",
        "%2e",
        "%00",
        "%",
        "@",
        ":",
        "node:",
        "fs",
        "file:",
        "data:",
        "dep",
        "dep/",
        "sub",
        "*",
        "plugin.mjs",
        "package.json",
        "é",
        "\u0000",
        " ",
        "__proto__",
        "node_modules",
        ".json",
        ".wasm"
      ])
    ),
    { maxLength: 6 }
  ),
  (parts) => parts.join("")
)

const packageFile = {
  name: "dep",
  version: "1.0.0",
  type: "module",
  main: "./main.js",
  exports: { ".": { import: "./main.js", default: ["./main.js", null] }, "./sub/*": "./*.js" },
  imports: { "#sub": "./main.js" }
}

if (level !== undefined) {
  layer(layerRuntime(undefined, { spares: 2 }))("a plugin", (it) => {
    const loads = (files: Parameters<typeof write>[0]) =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const modulePath = path.join(write(files), "plugin.mjs")
        const spec = specOn(level, { name: "p", kind: linkifier, modulePath, timeout: "10 seconds" })
        const result = yield* Effect.result(runtime.load(spec))
        if (Result.isFailure(result))
          assert.strictEqual(result.failure._tag, "LOAD_ERROR", result.failure.message)
        const good = specOn(level, { name: "good", kind: linkifier, modulePath: goodPath })
        const [echo] = yield* runtime.run(good, { message })
        assert.strictEqual(echo?.kind, "echo")
      })

    it.effect.prop(
      "that imports anything loads or says why not",
      { specifiers: Arbitrary.array(Specifier, { minLength: 1, maxLength: 4 }) },
      ({ specifiers }) =>
        loads({
          "plugin.mjs": `${specifiers.map((text) => `await import(${JSON.stringify(text)}).catch(() => {})\n`).join("")}
            import ${JSON.stringify(specifiers[0])}\n${plugin}`,
          "package.json": "{}",
          "node_modules/dep/package.json": JSON.stringify(packageFile),
          "node_modules/dep/main.js": "export default 1"
        }),
      times(12)
    )

    it.effect.prop(
      "with any package.json loads or says why not",
      {
        by: Schema.Json,
        pick: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 })),
        edits: Edits
      },
      ({ by, pick, edits }) =>
        Effect.forEach(
          [
            Buffer.from(JSON.stringify(replaced(packageFile, by, pick))),
            edited(Buffer.from(JSON.stringify(packageFile)), edits)
          ],
          (text) =>
            loads({
              "plugin.mjs": `import "dep"\nimport "#sub"\nimport "dep/sub/x"\n${plugin}`,
              "package.json": text,
              "node_modules/dep/package.json": text,
              "node_modules/dep/main.js": "export default 1"
            })
        ),
      times(8)
    )
  })
}
