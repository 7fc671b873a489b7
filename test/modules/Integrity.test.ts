/** The hash of a plugin's module graph, and the modules that a plugin with `integrity` may load. */
import { afterAll, assert, beforeAll, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Worker } from "node:worker_threads"
import { LoadError } from "../../src/Errors.ts"
import { moduleIntegrity } from "../../src/integrity.ts"
import { ModuleSources } from "../../src/modules/ModuleSource.ts"
import { Manifests } from "../../src/modules/packageManifest.ts"
import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { layerRuntime, levels, specOn, message } from "../support/isolation.ts"

const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-integrity-")))
let thread: Worker
beforeAll(() => {
  const file = fileURLToPath(new URL("../fixtures/integrity/graphThread.ts", import.meta.url))
  thread = new Worker(file)
})
afterAll(async () => {
  await thread.terminate()
  fs.rmSync(folder, { recursive: true })
})

interface Reply {
  readonly answer?: {
    readonly integrity: string
    readonly files: ReadonlyArray<string>
    readonly source: string
  }
  readonly refused?: string
}
const ask = async (message: unknown): Promise<Reply> => {
  thread.postMessage(message)
  const [reply] = await once(thread, "message")
  return reply
}
const graphOf = async (entry: string): Promise<NonNullable<Reply["answer"]>> => {
  const { answer, refused } = await ask({ type: "graph", entry })
  assert(answer !== undefined, refused)
  return answer
}

type Files = { readonly [file: string]: string | Uint8Array }

/** The smallest module of WebAssembly that imports something: `(import "./wasm.mjs" "f" (func))`. */
const wasm = Buffer.concat([
  Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00]),
  Uint8Array.from([0x02, 0x10, 0x01, 0x0a]),
  Buffer.from("./wasm.mjs"),
  Uint8Array.from([0x01, 0x66, 0x00, 0x00])
])

const plugin: Files = {
  "app/plugin/index.ts": `
    import { linkifier } from "@agentlip/plugin-runtime/plugin"
    import { createRequire } from "node:module"
    import data from "./data.json" with { type: "json" }
    import { type Shape } from "./shape.ts"
    export { helper } from "./helper.ts"
    export * from "./star.mjs"
    const require = createRequire(import.meta.url)
    require("./old")
    enum Colour { Red }
    export default linkifier({
      name: "a", version: "1",
      enrich: async () => { await import("./late.mjs"); await import(\`./template.mjs\`); return [] }
    })`,
  "app/plugin/data.json": "[1]",
  "app/plugin/shape.ts": "export interface Shape {}",
  "app/plugin/helper.ts": "import 'dep'; import './machine.wasm'; export const helper: number = 1",
  "app/plugin/star.mjs": "export const star = 1",
  "app/plugin/old.js":
    "const a = module.require('./older.cjs'); try { require('optional') } catch {}\nreturn",
  "app/plugin/older.cjs": "require('./computed' + '.cjs')",
  "app/plugin/computed.cjs": "",
  "app/plugin/late.mjs": "export {} // late",
  "app/plugin/template.mjs": "await 0",
  "app/plugin/machine.wasm": wasm,
  "app/plugin/wasm.mjs": "export const f = () => {}",
  "app/plugin/unused.mjs": "",
  "app/plugin/package.json": '{"name":"mine"}',
  "app/node_modules/dep/package.json": '{"name":"dep","exports":"./a.js"}',
  "app/node_modules/dep/a.js": "exports.inner = require('inner'); require('fs')",
  "app/node_modules/dep/b.js": "exports.inner = require('inner'); require('fs')",
  "app/node_modules/inner/package.json": '{"name":"inner"}',
  "app/node_modules/inner/index.js": "exports.value = 1"
}
const reached = Object.keys(plugin).filter((file) => !/computed|unused|package\.json|b\.js/.test(file))

const write = (root: string, files: Files): void => {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(root, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, content)
  }
}
const install = (files: Files = {}): { readonly root: string; readonly entry: string } => {
  const root = fs.mkdtempSync(path.join(folder, "w-"))
  write(root, { ...plugin, ...files })
  return { root, entry: path.join(root, "app/plugin/index.ts") }
}

describe("integrity: the graph", () => {
  it("has every module that is named in any way, and no other", async () => {
    const { root, entry } = install()
    const { files } = await graphOf(entry)
    assert.deepStrictEqual(files.map((file) => path.relative(root, file)).sort(), reached.sort())
  })

  it("does not depend on the folder, on times or on other files", async () => {
    const { integrity } = await graphOf(install().entry)
    assert.match(integrity, /^sha256-[A-Za-z0-9+/]{43}=$/)
    const { entry, root } = install({
      "app/plugin/unused.mjs": "1",
      "app/plugin/notes.txt": "x",
      "a.mjs": ""
    })
    fs.utimesSync(entry, 1, 1)
    assert.strictEqual((await graphOf(entry)).integrity, integrity)
    fs.symlinkSync(root, path.join(folder, "linked"))
    assert.strictEqual((await graphOf(path.join(folder, "linked/app/plugin/index.ts"))).integrity, integrity)
  })

  it("does not depend on the layout of packages", async () => {
    const { integrity } = await graphOf(install().entry)
    const nested = install()
    const modules = path.join(nested.root, "app/node_modules")
    fs.mkdirSync(path.join(modules, "dep/node_modules"))
    fs.renameSync(path.join(modules, "inner"), path.join(modules, "dep/node_modules/inner"))
    assert.strictEqual((await graphOf(nested.entry)).integrity, integrity)
    const linked = install()
    const store = path.join(linked.root, "store/dep")
    fs.mkdirSync(path.join(linked.root, "store"))
    fs.renameSync(path.join(linked.root, "app/node_modules/dep"), store)
    fs.symlinkSync(store, path.join(linked.root, "app/node_modules/dep"))
    fs.cpSync(path.join(linked.root, "app/node_modules/inner"), path.join(store, "node_modules/inner"), {
      recursive: true
    })
    assert.strictEqual((await graphOf(linked.entry)).integrity, integrity)
  })

  it.each(reached)("changes with each byte of %s", async (file) => {
    const content = plugin[file] ?? ""
    // A custom section of WebAssembly, a space of everything else.
    const changed =
      typeof content === "string" ? `${content} ` : Uint8Array.from([...content, 0x00, 0x02, 0x01, 0x61])
    const { integrity } = await graphOf(install().entry)
    assert.notStrictEqual((await graphOf(install({ [file]: changed }).entry)).integrity, integrity)
  })

  it.each<[string, Files]>([
    [
      "a name leads to another file of the same content",
      { "app/node_modules/dep/package.json": '{"exports":"./b.js"}' }
    ],
    [
      "a file becomes a module of another kind",
      { "app/node_modules/inner/package.json": '{"name":"inner","type":"module"}' }
    ],
    [
      "what was optional and absent is there",
      { "app/node_modules/optional/index.js": "", "app/node_modules/optional/package.json": "{}" }
    ],
    ["a name leads to a nearer package", { "app/plugin/node_modules/dep/index.js": "" }]
  ])("changes when %s", async (_, files) => {
    const { integrity } = await graphOf(install().entry)
    assert.notStrictEqual((await graphOf(install(files).entry)).integrity, integrity)
  })

  it("differs for another entry with the same modules", async () => {
    const { root } = install({ "a.mjs": "import './b.mjs'", "b.mjs": "import './a.mjs'" })
    const [a, b] = [await graphOf(path.join(root, "a.mjs")), await graphOf(path.join(root, "b.mjs"))]
    assert.deepStrictEqual([...a.files].sort(), [...b.files].sort())
    assert.notStrictEqual(a.integrity, b.integrity)
  })

  it("fails with a reason if the entry cannot be read", async () => {
    const { root } = install()
    const of = async (file: string): Promise<string | undefined> =>
      (await ask({ type: "graph", entry: path.join(root, file) })).refused
    assert.match((await of("gone.ts")) ?? "", /no such file/)
    assert.match((await of("app/plugin")) ?? "", /not a regular file/)
    write(root, { "broken.ts": "enum {", "broken.mjs": "import './nothing.mjs' }" })
    assert.match((await of("broken.ts")) ?? "", /broken\.ts:1:/)
    // The engine will say it better when it is run; it has no imports that anybody could read.
    assert.deepStrictEqual((await graphOf(path.join(root, "broken.mjs"))).files.length, 1)
  })
})

describe("integrity: the modules that load", () => {
  const open = async (files: Files = {}) => {
    const { root, entry } = install(files)
    const { integrity } = await graphOf(entry)
    const opened = await ask({ type: "open", entry, integrity })
    assert.isUndefined(opened.refused)
    return {
      root,
      entry,
      get: (parent: string, specifier: string, require = false) =>
        ask({
          type: "get",
          request: { specifier, parent: pathToFileURL(path.join(root, parent)).href, require }
        }),
      entryAgain: () =>
        ask({
          type: "get",
          request: { specifier: pathToFileURL(entry).href, parent: "file:///boot.js", require: false }
        })
    }
  }

  it("none if the graph has changed; the error has both hashes and the command", async () => {
    const { entry } = install()
    const { integrity } = await graphOf(entry)
    fs.appendFileSync(entry, "\n")
    const found = (await graphOf(entry)).integrity
    const { refused } = await ask({ type: "open", entry, integrity })
    assert.include(refused, `expected ${integrity}, found ${found}`)
    assert.include(refused, `agentlip plugin integrity ${entry}`)
  })

  it("the hashed sources, even if the files have changed since", async () => {
    const { root, get, entryAgain } = await open()
    write(root, {
      "app/plugin/index.ts": "throw 'changed'",
      "app/plugin/helper.ts": "throw 'changed'",
      "app/node_modules/dep/package.json": '{"exports":"./b.js"}'
    })
    fs.rmSync(path.join(root, "app/plugin/late.mjs"))
    assert.include((await entryAgain()).answer?.source, "linkifier(")
    assert.include((await get("app/plugin/index.ts", "./helper.ts")).answer?.source, "const helper")
    assert.include((await get("app/plugin/index.ts", "./late.mjs")).answer?.source, "late")
    assert.include((await get("app/plugin/helper.ts", "dep")).answer?.source, "inner")
  })

  it("the library's own entry too, and hashed modules by a computed name", async () => {
    const { get } = await open()
    const own = await get("app/plugin/index.ts", "@agentlip/plugin-runtime/plugin")
    assert.include(own.answer?.source, "linkifier")
    assert.include((await get("app/plugin/late.mjs", "./star.mjs")).answer?.source, "star")
    assert.include((await get("app/plugin/late.mjs", "./helper.ts?again")).answer?.source, "helper")
  })

  it("no other module", async () => {
    const { root, get } = await open()
    const notCovered = /not among the modules that the plugin's `integrity` covers/
    assert.match((await get("app/plugin/older.cjs", "./computed.cjs", true)).refused ?? "", notCovered)
    assert.match((await get("app/plugin/index.ts", "./unused.mjs")).refused ?? "", notCovered)
    assert.match(
      (await get("app/plugin/index.ts", "../secret.json")).refused ?? "",
      /outside the plugin's folder/
    )
    assert.match((await get("app/plugin/old.js", "optional", true)).refused ?? "", /Cannot find module/)
    write(root, { "app/node_modules/optional/index.js": "" })
    assert.match((await get("app/plugin/old.js", "optional", true)).refused ?? "", notCovered)
  })

  it("a module that does not compile fails with the compiler's error", async () => {
    const { get } = await open({
      "app/plugin/late.mjs": "import './broken.ts'",
      "app/plugin/broken.ts": "enum {"
    })
    assert.match((await get("app/plugin/late.mjs", "./broken.ts")).refused ?? "", /broken\.ts:1:/)
  })

  it("the error says when the names could not be read", async () => {
    const { get } = await open({
      "app/plugin/late.mjs": "import source x from './x.wasm'",
      "app/plugin/x.wasm": wasm
    })
    assert.match(
      (await get("app/plugin/late.mjs", "./x.wasm")).refused ?? "",
      /could not be read \(Unexpected/
    )
  })
})

describe("integrity: a run", () => {
  const source = `
    import { kind } from "./kind.mjs"
    export default {
      name: "a", version: "1",
      enrich: async ({ config }) => {
        const data = config.import === undefined ? {} : { seen: await import(config.import).catch((e) => e.message) }
        return [{ kind, span: { start: 0, end: 1 }, data }]
      }
    }`
  const makePlugin = (): string => {
    const root = fs.mkdtempSync(path.join(folder, "run-"))
    write(root, { "index.mjs": source, "kind.mjs": "export const kind = 'found'", "other.mjs": "export {}" })
    return path.join(root, "index.mjs")
  }

  for (const level of levels) {
    layer(layerRuntime())(level.name, (it) => {
      const spec = (modulePath: string, integrity: string, config = {}) =>
        specOn(level, { name: path.dirname(modulePath), kind: linkifier, modulePath, integrity, config })

      it.effect("loads only what was hashed", () =>
        Effect.gen(function* () {
          const { run } = yield* PluginRuntime
          const modulePath = makePlugin()
          const integrity = yield* moduleIntegrity(modulePath)
          const [fine] = yield* run(spec(modulePath, integrity), { message })
          assert.strictEqual(fine?.kind, "found")
          const [confined] = yield* run(spec(modulePath, integrity, { import: "./other.mjs" }), { message })
          assert.match(
            String(confined?.data["seen"]),
            /not among the modules that the plugin's `integrity` covers/
          )
        })
      )

      it.effect(
        "not of what has changed: a LOAD_ERROR with both values, whether it was loaded before or not",
        () =>
          Effect.gen(function* () {
            const { run } = yield* PluginRuntime
            const modulePath = makePlugin()
            const integrity = yield* moduleIntegrity(modulePath)
            yield* run(spec(modulePath, integrity), { message })
            fs.writeFileSync(path.join(path.dirname(modulePath), "kind.mjs"), "export const kind = 'changed'")
            const found = yield* moduleIntegrity(modulePath)
            // A warm isolate is asked for changes once a second; until then it runs what was hashed.
            yield* TestClock.adjust("1500 millis")
            const error = yield* Effect.flip(run(spec(modulePath, integrity), { message }))
            assert.strictEqual(error._tag, "LOAD_ERROR")
            assert.include(error.message, `expected ${integrity}, found ${found}`)
            const [trusted] = yield* run(spec(modulePath, found), { message })
            assert.strictEqual(trusted?.kind, "changed")
          })
      )
    })
  }
})

describe("moduleIntegrity", () => {
  it.live("returns the graph's hash for any path to the file, and runs nothing", () =>
    Effect.gen(function* () {
      const { entry } = install({ "app/plugin/star.mjs": "throw 'ran'" })
      const { integrity } = yield* Effect.promise(() => graphOf(entry))
      assert.strictEqual(yield* moduleIntegrity(entry), integrity)
      assert.strictEqual(yield* moduleIntegrity(path.relative(process.cwd(), entry)), integrity)
    })
  )

  it.live("fails like a load", () =>
    Effect.gen(function* () {
      const { root } = install()
      const missing = yield* Effect.flip(moduleIntegrity(path.join(root, "gone.ts")))
      assert.instanceOf(missing, LoadError)
      assert.strictEqual(missing.reason, "there is no such file; correct the modulePath")
      assert.match((yield* Effect.flip(moduleIntegrity(root))).reason, /not a regular file/)
    })
  )
})

describe("sources", () => {
  it("are kept while there is room; the least recently used are dropped first", async () => {
    const root = fs.mkdtempSync(path.join(folder, "s-"))
    const files = ["a", "b", "c"].map((name) => path.join(root, `${name}.mjs`))
    for (const file of files) fs.writeFileSync(file, " ".repeat(100))
    const [a = "", b = "", c = ""] = files
    const sources = new ModuleSources(undefined, 250)
    const get = (file: string) => sources.get(file, new Manifests())
    const first = await get(a)
    const second = await get(b)
    assert.strictEqual(await get(a), first)
    await get(c)
    assert.strictEqual(await get(a), first)
    assert.notStrictEqual(await get(b), second)
    fs.writeFileSync(a, "changed")
    assert.strictEqual((await get(a)).source, "changed")
    fs.writeFileSync(c, " ".repeat(300))
    assert.strictEqual((await get(c)).size, 300)
  })
})
