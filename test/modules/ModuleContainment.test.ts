/** A hostile plugin delays only itself while it loads: others load, import lazily and end, and the host stays small. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, ManagedRuntime, Result, Schedule, Scope } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { linkifier, moduleIntegrity, PluginRuntime, WorkerLayer } from "../../src/index.ts"
import { hostileModules, makeHostileModules } from "../support/hostileModules.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"

const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-containment-")))
const outside = path.join(root, "outside.json")
beforeAll(() => {
  fs.writeFileSync(outside, '{"secret":"outside"}')
  makeHostileModules(path.join(root, "hostile"), outside)
  fs.mkdirSync(path.join(root, "good"))
  fs.writeFileSync(path.join(root, "good/late.ts"), "export const value: string = 'late'")
  fs.writeFileSync(
    path.join(root, "good/plugin.ts"),
    `export default { name: "good", version: "1.0.0",
      async enrich({ message }) {
        const data = message.content_raw === "late" ? { ...(await import("./late.ts")) } : {}
        return [{ kind: "good", span: { start: 0, end: 1 }, data }]
      } }`
  )
})
afterAll(() => fs.rmSync(root, { recursive: true }))

type Name = keyof typeof hostileModules

/** What keeps a loader busy until it is ended. */
const endless: ReadonlyArray<Name> = ["exponential", "exponentialDependency"]

/** What is refused, and by what words. */
const refused: { readonly [name in Name]?: RegExp } = {
  fifoManifest: /package\.json": it is a FIFO, not a regular file/,
  zeroManifest: /package\.json": it is a device, not a regular file/,
  hugeManifest: /package\.json": it has 734003200 bytes, 1048576 are allowed/,
  fifoDependency: /package\.json": it is a FIFO/,
  zeroDependency: /package\.json": it is a device/,
  hugeDependency: /package\.json": it has 734003200 bytes/,
  fifoEntry: /plugin\.mjs": it is a FIFO/,
  fifoModule: /part\.mjs": it is a FIFO.*\(at .*fifo-module\/plugin\.mjs:1:8\)/,
  zeroModule: /leads outside the plugin's folder/,
  hugeModule: /part\.mjs": it has 734003200 bytes, 16777216 are allowed/,
  hugeTypeScript: /plugin\.ts": it has \d+ bytes, 4194304 are allowed/,
  nested: /the TypeScript compiler gave up on it/,
  outsideMain: /leads outside the plugin's folder/,
  outsideExports: /Invalid "exports" target/,
  nestedManifest: /./
}

/** Processor time of all threads of this process but its own, in milliseconds. */
const othersTime = (): number => {
  const [all, own] = [process.cpuUsage(), process.threadCpuUsage()]
  return (all.user + all.system - own.user - own.system) / 1000
}

/** Waits until threads have worked for longer than isolates take to boot: loaders are in the middle of it. */
const loadersWork = Effect.suspend(() => {
  const start = othersTime()
  return Effect.repeat(Effect.sync(othersTime), {
    until: (now) => now - start > 500,
    schedule: Schedule.spaced("10 millis")
  })
})

const [thread] = levels
const ones = levels.filter(({ reuse }) => reuse === "plugin")

for (const level of ones) {
  describe(`Modules on ${level.isolation}`, () => {
    let runtime: ManagedRuntime.ManagedRuntime<PluginRuntime, unknown>
    beforeAll(() => {
      runtime = ManagedRuntime.make(layerRuntime())
    })
    afterAll(() => runtime.dispose())

    const run = (modulePath: string, name: string, more: object = {}, text = "hello") =>
      Effect.gen(function* () {
        const plugins = yield* PluginRuntime
        const spec = specOn(level, { name, kind: linkifier, modulePath, timeout: "20 seconds", ...more })
        const [found] = yield* plugins.run(spec, { message: { ...message, content_raw: text } })
        return found?.data
      })
    const hostile = (name: Name, more: object = {}) =>
      run(path.join(root, "hostile", hostileModules[name]), name, more)
    const good = path.join(root, "good/plugin.ts")

    for (const [name, says] of Object.entries(refused) as Array<[Name, RegExp]>) {
      it(`refuses ${name}, and the host does not grow`, async () => {
        await runtime.runPromise(run(good, "good"))
        const before = process.memoryUsage.rss()
        const error = await runtime.runPromise(Effect.flip(hostile(name)))
        assert.strictEqual(error._tag, "LOAD_ERROR", String(error))
        assert.match(error.message, says)
        assert.isBelow(process.memoryUsage.rss() - before, 300 * 1024 * 1024)
      })
    }

    for (const name of endless) {
      // Its own runtime: what is stuck ends with it.
      it.live(`others load and import lazily while ${name} loads, which ends at its deadline`, () =>
        Effect.gen(function* () {
          // Warm before: what it imports later comes from a loader that did not load it.
          yield* run(good, "warm")
          const stuck = yield* Effect.forEach([{}, { concurrency: 4 }, {}], (more) =>
            Effect.forkChild(hostile(name, { timeout: "60 seconds", ...more }))
          )
          yield* loadersWork
          assert.deepStrictEqual(yield* run(good, "warm", {}, "late"), { value: "late" })
          assert.deepStrictEqual(yield* run(good, "fresh", { reuse: "never" }, "late"), { value: "late" })
          // The same files in another plugin.
          const module = path.join(root, "hostile", hostileModules[name])
          const error = yield* Effect.flip(run(module, "hasty", { timeout: "1 second" }))
          assert.strictEqual(error._tag, "TIMEOUT")
          assert.include(error.message, "was still loading")
          for (const fiber of stuck) assert.isUndefined(fiber.pollUnsafe())
          assert.deepStrictEqual(yield* run(good, "warm", {}, "late"), { value: "late" })
        }).pipe(Effect.provide(layerRuntime()))
      )
    }
  })
}

describe("Modules", () => {
  const level = thread ?? assert.fail("there is no level")
  const specOf = (name: Name, more: object = {}) =>
    specOn(level, {
      name,
      kind: linkifier,
      modulePath: path.join(root, "hostile", hostileModules[name]),
      timeout: "60 seconds",
      ...more
    })

  it.live("closing the runtime ends a stuck loader", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const fiber = yield* Effect.forkIn(
        Effect.gen(function* () {
          const plugins = yield* PluginRuntime
          yield* plugins.load(specOf("exponential"))
        }).pipe(Effect.provide(layerRuntime())),
        scope
      )
      yield* loadersWork
      const began = performance.now()
      yield* Fiber.interrupt(fiber)
      yield* Scope.close(scope, Exit.void)
      assert.isBelow(performance.now() - began, 5_000)
    })
  )

  it.live("a thousand TypeScript modules with an integrity delay no other plugin", () =>
    Effect.gen(function* () {
      const plugins = yield* PluginRuntime
      const many = specOf("manyTypeScript", { integrity: `sha256-${"A".repeat(43)}=` })
      const good = specOn(level, {
        name: "good",
        kind: linkifier,
        modulePath: path.join(root, "good/plugin.ts"),
        reuse: "never"
      })
      yield* plugins.run(good, { message })
      const order: Array<string> = []
      const error = yield* Effect.all(
        [
          Effect.tap(Effect.flip(plugins.load(many)), () => Effect.sync(() => order.push("many"))),
          Effect.tap(plugins.run(good, { message }), () => Effect.sync(() => order.push("good")))
        ],
        { concurrency: 2 }
      )
      assert.match(error[0].message, /not those its integrity was made from/)
      assert.deepStrictEqual(order, ["good", "many"])
    }).pipe(Effect.provide(layerRuntime(undefined, { spares: 1 })))
  )

  it.live("hashing a hostile module fails with a reason", () =>
    Effect.gen(function* () {
      for (const name of ["fifoManifest", "zeroManifest", "hugeManifest", "nested"] as const) {
        const hashed = yield* Effect.result(moduleIntegrity(specOf(name).modulePath))
        assert.isTrue(Result.isFailure(hashed))
      }
    })
  )
})

describe("A module that cannot be loaded", () => {
  const folder = path.join(root, "mistakes")
  const write = (file: string, text: string): string => {
    const full = path.join(folder, file)
    fs.mkdirSync(path.dirname(full), { recursive: true })
    fs.writeFileSync(full, text)
    return full
  }
  beforeAll(() => {
    write("package.json", '{"name":"mistakes","type":"module"}')
    write("helper.ts", "export const value = 1")
    write("lib/index.ts", "export const value = 1")
  })

  const rows: ReadonlyArray<readonly [specifier: string, reason: RegExp]> = [
    ["./helper", /there is no file .*helper; did you mean "\.\/helper\.ts"\?/],
    ["./helper.js", /there is no file .*helper\.js; did you mean "\.\/helper\.ts"\?/],
    ["./lib", /is a folder, and `import` takes none; did you mean "\.\/lib\/index\.ts"\?/],
    ["./gone.ts", /there is no file .*gone\.ts/],
    ["not-installed", /Cannot find module 'not-installed' .*run `npm install not-installed` in .*mistakes/],
    ["@scope/not-installed/part", /run `npm install @scope\/not-installed` in .*mistakes/],
    ["#mapped", /"#mapped" is not among the "imports" of .*mistakes\/package\.json/],
    ["../outside.json", /leads outside the plugin's folder/]
  ]
  for (const level of ones) {
    it.live.each(rows)(
      `on ${level.isolation}: %s names its importer, the place and the remedy`,
      ([specifier, reason]) =>
        Effect.gen(function* () {
          const importer = write("part.ts", `// first\nimport ${JSON.stringify(specifier)}\n`)
          const entry = write(
            "plugin.ts",
            'import "./part.ts"\nexport default { name: "a", version: "1", enrich: () => [] }'
          )
          const plugins = yield* PluginRuntime
          const spec = specOn(level, {
            name: "mistaken",
            kind: linkifier,
            modulePath: entry,
            timeout: "20 seconds"
          })
          const error = yield* Effect.flip(plugins.load(spec))
          assert(error._tag === "LOAD_ERROR", String(error))
          assert.match(error.reason, reason)
          assert.strictEqual(error.importer, importer)
          assert.deepInclude(error.place, { file: importer, line: 2, column: 8 })
          assert.include(error.place?.frame, `> 2 | import ${JSON.stringify(specifier)}`)
        }).pipe(Effect.provide(layerRuntime()))
    )
  }
})

describe("A lazy import that fails in a run", () => {
  const folder = path.join(root, "lazy")
  const entry = path.join(folder, "plugin.ts")
  beforeAll(() => {
    fs.mkdirSync(folder)
    fs.writeFileSync(path.join(folder, "broken.ts"), "const a = 1\nconst b = = 2\n")
    fs.writeFileSync(
      entry,
      `const name: string = "./gone.ts"
export default {
  name: "lazy",
  version: "1.0.0",
  async enrich({ message }: { message: { content_raw: string } }) {
    if (message.content_raw === "file") await import("./gone.ts")
    if (message.content_raw === "package") await import("not-installed")
    if (message.content_raw === "computed") await import("./" + "missing.ts")
    if (message.content_raw === "broken") await import("./broken.ts")
    // A caught one costs nothing.
    for (let n = 0; n < 400; n++) await import("./gone-" + n + ".ts").catch(() => name)
    return []
  }
}`
    )
  })
  const rows: ReadonlyArray<readonly [text: string, at: string]> = [
    ["file", `${entry}:6:54`],
    ["package", `${entry}:7:57`],
    ["computed", entry],
    ["broken", `${path.join(folder, "broken.ts")}:2:11\n    at ${entry}`]
  ]
  for (const level of ones) {
    it.live(`names the place of the import on ${level.isolation}; a few failures are allowed`, () =>
      Effect.gen(function* () {
        const plugins = yield* PluginRuntime
        const spec = specOn(level, {
          name: "lazy",
          kind: linkifier,
          modulePath: entry,
          timeout: "20 seconds"
        })
        const ask = (content_raw: string) => plugins.run(spec, { message: { ...message, content_raw } })
        for (const [text, at] of rows) {
          const error = yield* Effect.flip(ask(text))
          assert(error._tag === "EXECUTION_ERROR", String(error))
          const { name, message, stack } = error.cause
          assert.strictEqual(stack, `${name}: ${message}\n    at ${at}`)
        }
        // Twice: each run has its own budget.
        assert.deepStrictEqual(yield* ask("none"), [])
        assert.deepStrictEqual(yield* ask("none"), [])
        assert.strictEqual((yield* WorkerLayer.use(({ stats }) => stats)).isolates, 1)
      }).pipe(Effect.provide(layerRuntime()))
    )
  }
})
