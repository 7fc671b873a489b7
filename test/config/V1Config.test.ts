/** Config files and plugins of Agentlip v1. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { CircuitBreaker } from "../../src/CircuitBreaker.ts"
import { loadConfig } from "../../src/Config.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { WorkerLayer } from "../../src/WorkerLayer.ts"
import { messageOf } from "../fixtures/library/message.ts"

const workspaceWith = (config: string, files: { readonly [name: string]: string } = {}) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "v1-config-")))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
    ),
    (root) => {
      for (const [name, text] of Object.entries({
        "agentlip.config.ts": `export default ${config}`,
        ...files
      })) {
        fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
        fs.writeFileSync(path.join(root, name), text)
      }
      return root
    }
  )

const linkifierModule = `
  const name = "code"
  export default {
    name,
    version: "0.1.0",
    async enrich({ message, config }) {
      return [{ kind: "code", span: { start: 0, end: 4 }, data: { id: message.id, root: config.repoRoot } }]
    }
  }`
const extractorModule = `
  export const name = "notes"
  export const version = "0.1.0"
  export const extract = async ({ message }) => [{ kind: "note", value_json: { text: message.content_raw } }]`

const full = `{
  plugins: [
    { name: "notes", type: "extractor", enabled: true, module: "custom/notes.ts" },
    { name: "code", type: "linkifier", enabled: true, module: "./custom/code.ts", timeout: 17_000, config: { repoRoot: "secret-root" } },
    { name: "off", type: "linkifier", enabled: false, module: "./custom/code.ts" },
    { name: "url-extractor", type: "extractor", enabled: true, config: { allowedDomains: ["example.com"] } }
  ],
  pluginDefaults: { timeout: 13000, memoryLimit: 67108864 },
  rateLimits: { perConnection: 7, global: 70 },
  limits: { maxMessageSize: 65536, maxWsConnections: 30, maxWsQueueSize: 1000 }
}`
const files = { "custom/code.ts": linkifierModule, "custom/notes.ts": extractorModule }
const shipped = { "@agentlip/plugins/url-extractor": "/shipped/url-extractor.js" }

describe("a config of v1", () => {
  it.live("is understood, and its plugins run", () =>
    Effect.gen(function* () {
      const root = yield* workspaceWith(full, files)
      const { specs, disabled, rateLimits, maxSockets, notice = "" } = yield* loadConfig(root, { shipped })
      assert.deepStrictEqual(
        specs.map(({ name, kind, modulePath, timeout, limits }) => [
          kind.name,
          name,
          path.relative(root, modulePath),
          Duration.toMillis(timeout),
          limits.memory
        ]),
        [
          ["linkifier", "code", "custom/code.ts", 17_000, 64],
          ["extractor", "notes", "custom/notes.ts", 13_000, 64],
          ["extractor", "url-extractor", path.relative(root, "/shipped/url-extractor.js"), 13_000, 64]
        ]
      )
      assert.deepStrictEqual(disabled, ["off"])
      assert.deepStrictEqual(rateLimits, { perClient: 7, total: 70 })
      assert.include(notice, 'The options of "url-extractor" are not used')
      assert.strictEqual(maxSockets, 30)
      assert.include(notice, "Not used: limits.maxMessageSize; a message has at most 64 KiB.")
      assert.include(notice, "Not used: limits.maxWsQueueSize; ")
      assert.notInclude(notice, "limits.maxWsConnections")
      assert.notInclude(notice, "secret-root")

      const message = messageOf("text")
      const found = yield* Effect.provide(
        Effect.flatMap(PluginRuntime, (runtime) =>
          Effect.forEach(specs.slice(0, 2), (spec) => runtime.run(spec, { message }))
        ),
        PluginRuntime.layer.pipe(Layer.provide([CircuitBreaker.layer(), WorkerLayer.layerThread()]))
      )
      assert.deepInclude(found[0]?.[0], { kind: "code", data: { id: message.id, root: "secret-root" } })
      assert.deepInclude(found[1]?.[0], { kind: "note", value_json: { text: "text" } })

      // What the notice says to paste means the same.
      const today = notice.slice(notice.indexOf("export default"), notice.indexOf("\n}") + 2)
      const pasted = yield* workspaceWith("", { ...files, "agentlip.config.ts": today })
      const loaded = yield* loadConfig(pasted, { shipped })
      assert.isUndefined(loaded.notice)
      assert.deepStrictEqual(
        loaded.specs.map(({ name, timeout, limits }) => [name, Duration.toMillis(timeout), limits.memory]),
        specs.map(({ name, timeout, limits }) => [name, Duration.toMillis(timeout), limits.memory])
      )
      assert.deepStrictEqual([loaded.rateLimits, loaded.maxSockets], [rateLimits, maxSockets])
    })
  )

  it.live("is refused if it mixes both forms, or has mistakes, each with its place in the file", () =>
    Effect.gen(function* () {
      const wrong: ReadonlyArray<readonly [string, ...ReadonlyArray<RegExp>]> = [
        [
          "{ plugins: [], linkifiers: [] }",
          /mixes keys of Agentlip v1 \(plugins\) with today's \(linkifiers\)/
        ],
        ["{ limits: {}, readAuth: true }", /mixes keys of Agentlip v1 \(limits\) with today's \(readAuth\)/],
        [
          "{ limits: { maxWsConnections: 0 } }",
          /limits\.maxWsConnections: expected an integer of at least 1/
        ],
        ["{ plugins: [{ name: 'a', type: 'other' }] }", /plugins\[0\]\.type/],
        [
          "{ plugins: [{ name: 'a', typ: 'linkifier' }] }",
          /plugins\[0\]\.typ: is not a known key; did you mean "type"\?/
        ],
        [
          "{ plugins: [{ name: 'a', type: 'linkifier' }] }",
          /plugins\[0\]\.module: is missing, and "a" is no plugin of the hub/
        ],
        [
          "{ plugins: [], pluginDefault: {} }",
          /pluginDefault: is not a known key; did you mean "pluginDefaults"\?/
        ],
        [
          "{ rateLimits: { perConection: 1, global: 2 } }",
          /perConection: is not a known key; did you mean "perConnection"\?/
        ],
        [
          "{ plugins: [{ name: 'a', type: 'extractor', module: './a.ts' }, { name: 'b', type: 'extractor', module: '../b.ts' }] }",
          /plugins\[1\]\.module: .*leaves the workspace/
        ]
      ]
      for (const [config, ...problems] of wrong) {
        const error = yield* Effect.flip(loadConfig(yield* workspaceWith(config)))
        for (const problem of problems) assert.match(error.message, problem)
      }
      const misspelt = yield* Effect.flip(loadConfig(yield* workspaceWith("{ linkifier: [] }")))
      assert.match(misspelt.message, /did you mean "linkifiers"\?/)
    })
  )
})
