/** The modules that a plugin may import, tried from inside a real isolate. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, describe } from "vitest"
import { CircuitBreaker, linkifier, makeSpec, PluginRuntime, WorkerLayer } from "../../src/index.ts"
import { message } from "../support/isolation.ts"

const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-modules-")))
afterAll(() => fs.rmSync(folder, { recursive: true }))
const write = (file: string, text: string): string => {
  const full = path.join(folder, file)
  fs.mkdirSync(path.dirname(full), { recursive: true })
  fs.writeFileSync(full, text)
  return full
}

write("secret.json", '{"secret":"outside"}')
write(".agentlip/server.json", '{"secret":"token"}')
write("plugins/.agentlip/server.json", '{"secret":"nested token"}')
write("plugins/data.json", '{"own":"data"}')
write("plugins/helper.ts", "export enum Colour { Red = 'red' }")
write("plugins/old.cjs", "exports.parent = require('./older.cjs').name")
write("plugins/older.cjs", "exports.name = require('path').sep")
write("plugins/notes.txt", "not a module")
write("plugins/esm.mjs", "export const value = 'of an ES module'")
write("plugins/cycle-a.cjs", "exports.early = 1; exports.seen = { ...require('./cycle-b.cjs') }")
write("plugins/cycle-b.cjs", "exports.early = { ...require('./cycle-a.cjs') }.early; exports.late = true")
write(
  "plugins/throws.cjs",
  "exports.count = (globalThis.count = (globalThis.count ?? 0) + 1)\n\nthrow new Error('on line 3')"
)
write(
  "plugins/common.cjs",
  `#!/usr/bin/env node
const attempt = (run) => { try { return run() } catch (error) { return error.code ?? error.message } }
exports.named = "a name"
exports.seen = {
  this: this === exports, own: module.exports === exports, loaded: module.loaded,
  file: __filename === module.filename && require.resolve("./common.cjs") === __filename,
  folder: __dirname === module.path,
  json: require("./data.json").own, same: require("./data.json") === require("./data.json"),
  esm: require("./esm.mjs").value, builtin: require("node:path") === require("path"),
  facade: require("fs") === require("node:fs"),
  missing: attempt(() => require("./none.cjs")),
  cycle: require("./cycle-a.cjs").seen,
  throws: [attempt(() => require("./throws.cjs")), attempt(() => require("./throws.cjs")), globalThis.count],
  cached: Object.keys(require.cache).includes(__filename),
  plain: Object.getPrototypeOf(module) === Object.prototype
}
exports.later = () => import("./esm.mjs").then(({ value }) => value)
exports.line = () => { try { require("./throws.cjs") } catch (error) { return error.stack.includes("throws.cjs:3:") } }`
)
write(
  "plugins/uses-common.mjs",
  `import whole, { named, seen, later, line } from "./common.cjs"
export default {
  enrich: async () => [{ kind: "x", span: { start: 0, end: 1 },
    data: { ...seen, named, whole: whole.named, later: await later(), line: line() } }]
}`
)
fs.symlinkSync(path.join(folder, "secret.json"), path.join(folder, "plugins/link.json"))
write("plugins/node_modules/good/package.json", '{"name":"good","type":"module","exports":"./lib/index.js"}')
write("plugins/node_modules/good/lib/index.js", 'export { value } from "../value.js"')
write("plugins/node_modules/good/value.js", "export const value = 'a dependency'")
write("plugins/node_modules/escapes/package.json", '{"name":"escapes","main":"../../../secret.json"}')
write("node_modules/above/index.js", "module.exports = { value: 'installed above' }")
// Three ways to ask the host whether a file exists elsewhere: each for one that does and one that does not.
fs.symlinkSync(folder, path.join(folder, "plugins/up"))
for (const name of ["secret", "absent"]) {
  write(`plugins/main-${name}/package.json`, `{"main":"../../${name}.json"}`)
  write(`plugins/node_modules/main-${name}/package.json`, `{"main":"../../../${name}.json"}`)
  fs.symlinkSync(path.join(folder, `${name}.json`), path.join(folder, `plugins/ending-${name}.js`))
}
write("outside/node_modules/lent/package.json", '{"name":"lent"}')
write("outside/node_modules/lent/index.js", "module.exports = { value: 'not yours' }")

write(
  "mapped/package.json",
  JSON.stringify({
    name: "mapped",
    imports: {
      "#dep": { require: "./none.cjs", default: "good" },
      "#deps/*": "good/*",
      "#above": "above",
      "#own": "./own.js",
      "#fs": "node:fs",
      "#climbs": "good/../../../secret.json"
    }
  })
)
write("mapped/own.js", "export const value = 'its own'")
write("mapped/node_modules/good/package.json", '{"name":"good","type":"module"}')
write("mapped/node_modules/good/index.js", "export const value = 'by a map'")
write("mapped/inner/plugin/own.js", "export const value = 'its own'")
write("package.json", '{"name":"workspace","imports":{"#outer/*":"./*"}}')

const importerSource = `export default {
    async enrich({ config }) {
      let seen
      try {
        const module = config.require
          ? (await import("node:module")).createRequire(config.from ?? import.meta.url)(config.specifier)
          : await import(config.specifier, config.json ? { with: { type: "json" } } : undefined)
        seen = { loaded: JSON.stringify(module) }
      } catch (error) {
        seen = { refused: error.message }
      }
      return [{ kind: "seen", span: { start: 0, end: 1 }, data: seen }]
    }
  }`
const importer = write("plugins/importer.ts", importerSource)
const mapped = write("mapped/importer.ts", importerSource)

interface Import {
  readonly specifier: string
  readonly json?: boolean
  readonly require?: boolean
  readonly from?: string
}

const seenBy = (config: Import, modulePath = importer) =>
  Effect.gen(function* () {
    const runtime = yield* PluginRuntime
    const spec = makeSpec({ name: "importer", kind: linkifier, modulePath, config: { ...config } })
    const [enrichment] = yield* runtime.run(spec, { message })
    return enrichment?.data as { readonly loaded?: string; readonly refused?: string }
  })

const RuntimeLive = PluginRuntime.layer.pipe(
  Layer.provide(CircuitBreaker.layer()),
  Layer.provide(WorkerLayer.layerThread({ spares: 1 }))
)

const allowed: ReadonlyArray<readonly [Import, string]> = [
  [{ specifier: "./data.json", json: true }, "data"],
  [{ specifier: "./helper.ts" }, "red"],
  [{ specifier: "./old.cjs" }, path.sep],
  [{ specifier: "./old.cjs", require: true }, path.sep],
  [{ specifier: "good" }, "a dependency"],
  [{ specifier: "above" }, "installed above"],
  [{ specifier: "data:text/javascript,export default 'inline'" }, "inline"],
  [{ specifier: "@agentlip/plugin-runtime/plugin" }, "{"],
  [{ specifier: "./data.json?version=2", json: true }, "data"]
]

const refused: ReadonlyArray<readonly [Import, RegExp]> = [
  [{ specifier: "../secret.json", json: true }, /outside the plugin's folder/],
  [{ specifier: "../secret.json", require: true }, /outside the plugin's folder/],
  [{ specifier: "../does-not-exist.json", json: true }, /outside the plugin's folder/],
  [{ specifier: "./link.json", json: true }, /outside the plugin's folder/],
  [{ specifier: "./.agentlip/server.json", json: true }, /hub's own folder/],
  [{ specifier: "./.agentlip/server.json", require: true }, /hub's own folder/],
  [{ specifier: path.join(folder, ".agentlip/server.json"), json: true }, /outside the plugin's folder/],
  [{ specifier: `file://${folder}/secret.json`, json: true }, /outside the plugin's folder/],
  [{ specifier: "good/../../../secret.json", json: true }, /neither a path nor the name of a package/],
  [{ specifier: "good/%2e%2e/%2e%2e/secret.json", json: true }, /neither a path nor the name of a package/],
  [{ specifier: "escapes", require: true }, /outside the plugin's folder/],
  [{ specifier: "./secret.json", require: true, from: `${folder}/any.js` }, /is not the plugin's/],
  [{ specifier: "./notes.txt" }, /a module's name ends in/],
  [{ specifier: "https://example.com/module.js" }, /not from https:/],
  [{ specifier: "node:child_process" }, /built-in module "node:child_process"/],
  [{ specifier: "sqlite", require: true }, /Cannot find module/],
  [{ specifier: "node:sqlite", require: true }, /built-in module "node:sqlite"/]
]

describe("modules", () => {
  layer(RuntimeLive)((it) => {
    it.effect.each(allowed)("loads %j", ([config, part]) =>
      Effect.gen(function* () {
        const seen = yield* seenBy(config)
        assert.isUndefined(seen.refused)
        assert.include(seen.loaded, part)
      })
    )
    it.effect.each(refused)("refuses %j", ([config, reason]) =>
      Effect.gen(function* () {
        const seen = yield* seenBy(config)
        assert.isUndefined(seen.loaded)
        assert.match(seen.refused ?? "", reason)
      })
    )
  })

  layer(RuntimeLive)((it) => {
    it.effect.each([
      ["#dep", "by a map"],
      ["#deps/index.js", "by a map"],
      ["#above", "installed above"],
      ["#own", "its own"]
    ] as const)("loads what its own package.json maps: %s", ([specifier, part]) =>
      Effect.gen(function* () {
        assert.include((yield* seenBy({ specifier }, mapped)).loaded, part)
      })
    )
    it.effect.each([
      ["#fs", /Invalid "imports" target "node:fs"/],
      ["#climbs", /neither a path nor the name of a package/],
      ["#none", /#none/]
    ] as const)("refuses what its package.json maps to elsewhere: %s", ([specifier, reason]) =>
      Effect.gen(function* () {
        assert.match((yield* seenBy({ specifier }, mapped)).refused ?? "", reason)
      })
    )

    const probes: ReadonlyArray<(name: string) => Import> = [
      (name) => ({ specifier: `../${name}.json`, json: true }),
      (name) => ({ specifier: `../${name}.json`, require: true }),
      (name) => ({ specifier: `./a?/../../${name}.json`, require: true }),
      (name) => ({ specifier: `./a#/../../${name}`, require: true }),
      (name) => ({ specifier: `./%2e%2e/${name}.json`, json: true }),
      (name) => ({ specifier: `./.%2E/${name}.json` }),
      (name) => ({ specifier: `./.\t./${name}.json` }),
      (name) => ({ specifier: `FILE://${folder}/${name}.json` }),
      (name) => ({ specifier: ` file://${folder}/${name}.json` }),
      (name) => ({ specifier: `file:/../../${folder}/${name}.json`, require: true }),
      (name) => ({ specifier: `good/.\n./.\n./../${name}.json` }),
      (name) => ({ specifier: `good/..%2f..%2f../${name}.json` }),
      (name) => ({ specifier: `./up/${name}.json`, json: true }),
      (name) => ({ specifier: `./up/${name}`, require: true }),
      (name) => ({ specifier: `./${name}.json`, require: true, from: `${folder}/plugins/up/any.js` }),
      (name) => ({ specifier: `./main-${name}`, require: true }),
      (name) => ({ specifier: `main-${name}`, require: true }),
      (name) => ({ specifier: `main-${name}` }),
      (name) => ({ specifier: `./ending-${name}`, require: true }),
      (name) => ({ specifier: `./ending-${name}.js` }),
      (name) => ({ specifier: `#outer/${name}.json` })
    ]
    it.effect.each(probes.map((probe) => [probe("secret"), probe("absent")] as const))(
      "tells no difference between what exists outside and what does not: %j",
      ([there, missing]) =>
        Effect.gen(function* () {
          const said = [yield* seenBy(there), yield* seenBy(missing)]
          assert.isUndefined(said[0]?.loaded)
          assert.strictEqual(said[0]?.refused?.replaceAll("secret", "absent"), said[1]?.refused)
          assert.notInclude(said[0]?.refused, "Cannot find")
        })
    )

    it.effect("CommonJS works as in Node, without Node's own module objects", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const modulePath = path.join(folder, "plugins/uses-common.mjs")
        const spec = makeSpec({ name: "uses-common", kind: linkifier, modulePath })
        const [seen] = yield* runtime.run(spec, { message })
        assert.deepStrictEqual<unknown>(seen?.data, {
          this: true,
          own: true,
          loaded: false,
          file: true,
          folder: true,
          json: "data",
          same: true,
          esm: "of an ES module",
          builtin: true,
          facade: true,
          missing: "MODULE_NOT_FOUND",
          cycle: { early: 1, late: true },
          throws: ["on line 3", "on line 3", 2],
          cached: true,
          plain: true,
          named: "a name",
          whole: "a name",
          later: "of an ES module",
          line: true
        })
      })
    )

    it.effect("no other plugin loads the packages of a linked folder", () =>
      Effect.gen(function* () {
        const config = { specifier: "lent", require: true, from: `${folder}/plugins/up/outside/any.js` }
        assert.match((yield* seenBy(config)).refused ?? "", /is not the plugin's/)
      })
    )
  })
})
