import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Result } from "effect"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { CircuitBreaker } from "../src/CircuitBreaker.ts"
import { type AgentlipConfig, loadConfig, type LoadConfigOptions } from "../src/Config.ts"
import { ConfigError, type ConfigProblem } from "../src/ConfigError.ts"
import { makeSpec } from "../src/Plugin.ts"
import { extractor, linkifier } from "../src/PluginKinds.ts"
import { PluginRuntime } from "../src/Runtime.ts"
import { WorkerLayer } from "../src/WorkerLayer.ts"

interface PlainSpec {
  readonly name: string
  readonly kind: string
  readonly modulePath: string
}
interface Answer {
  readonly loaded?: {
    readonly file: string | undefined
    readonly specs: ReadonlyArray<PlainSpec>
    readonly disabled: ReadonlyArray<string>
  }
  readonly refused?: {
    readonly file: string
    readonly problems: ReadonlyArray<ConfigProblem>
    readonly message: string
  }
}

const loader = fileURLToPath(new URL("./fixtures/config/loadInNode.ts", import.meta.url))
const example = fileURLToPath(new URL("../examples/workspace", import.meta.url))
const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-config-")))
let node: Worker

beforeAll(() => {
  node = new Worker(loader)
})
afterAll(async () => {
  await node.terminate()
  fs.rmSync(folder, { recursive: true })
})

const ask = async (root: string, worker = node): Promise<Answer> => {
  worker.postMessage(root)
  const [answer] = await once(worker, "message")
  return answer
}

type Files = { readonly [file: string]: string }

const write = (root: string, files: Files): void => {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(root, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, content)
  }
}

/** A workspace in a folder of its own, so that `..` has a known meaning. */
const workspace = (files: Files): string => {
  const root = path.join(fs.mkdtempSync(path.join(folder, "w-")), "workspace")
  fs.mkdirSync(root)
  write(root, files)
  return root
}

const withConfig = (source: string, files: Files = {}): string =>
  workspace({ "agentlip.config.ts": source, ...files })

const withEntry = (fields: string): string =>
  withConfig(`export default { linkifiers: [{ name: "a", modulePath: "./a.ts", ${fields} }] }`)

const problemsIn = async (root: string): Promise<ReadonlyArray<ConfigProblem>> =>
  (await ask(root)).refused?.problems ?? []

const specsIn = async (root: string): Promise<ReadonlyArray<PlainSpec>> => {
  const { loaded, refused } = await ask(root)
  assert.isUndefined(refused, refused?.message)
  return loaded?.specs ?? []
}

describe("a valid config", () => {
  it.effect("gives the hub's isolation level to plugins that name none, and to no others", () =>
    Effect.gen(function* () {
      const root = withConfig(`export default {
        linkifiers: [{ name: "a", modulePath: "./a.ts" }, { name: "b", modulePath: "./b.ts", isolation: "thread" }],
        extractors: [{ name: "c", modulePath: "./c.ts" }]
      }`)
      const levels = (options?: LoadConfigOptions) =>
        Effect.map(loadConfig(root, options), ({ specs }) => specs.map(({ isolation }) => isolation))
      assert.deepStrictEqual(yield* levels({ isolation: "process" }), ["process", "thread", "process"])
      assert.deepStrictEqual(yield* levels(), ["thread", "thread", "thread"])
    })
  )

  it.effect("becomes specs of the kinds' own types, in the file's order, with every option", () =>
    Effect.gen(function* () {
      const root = withConfig(`
        export default {
          extractors: [{ name: "last", modulePath: "plugins/../plugins/b.mjs".replace(/^/, "./") }],
          linkifiers: [
            {
              name: "full", modulePath: "./plugins/a.ts", timeout: "2 seconds", grace: 20,
              config: { deep: [1, { x: null }] }, isolation: "process", reuse: "never", concurrency: 3, memory: 64,
              limits: {
                outputItems: 5, outputValues: 6, messageRate: 7, fetchBytes: 8, fetchConcurrency: 9, cpu: 10
              },
              enforcement: "audit", sandbox: "auto", integrity: "sha256-${"a".repeat(43)}=", breaker: { failureThreshold: 7, cooldown: "1 minute" },
              grants: { read: ["data"], write: ["/srv/out"], net: ["example.com:443"], env: ["HOME"] }
            },
            { name: "off", modulePath: "./plugins/off.ts", enabled: false },
            { name: "on", modulePath: ${JSON.stringify("./plugins/on.ts")}, enabled: true, timeout: 250 }
          ]
        }`)
      const { specs, disabled, file } = yield* loadConfig(root)
      assert.strictEqual(file, path.join(root, "agentlip.config.ts"))
      assert.deepStrictEqual(disabled, ["off"])
      assert.deepStrictEqual(specs, [
        makeSpec({
          name: "full",
          kind: linkifier,
          modulePath: path.join(root, "plugins/a.ts"),
          timeout: Duration.seconds(2),
          grace: Duration.millis(20),
          config: { deep: [1, { x: null }] },
          isolation: "process",
          reuse: "never",
          concurrency: 3,
          limits: {
            memory: 64,
            outputItems: 5,
            outputValues: 6,
            messageRate: 7,
            fetchBytes: 8,
            fetchConcurrency: 9,
            cpu: 10
          },
          enforcement: "audit",
          sandbox: "auto",
          integrity: `sha256-${"a".repeat(43)}=`,
          breaker: { failureThreshold: 7, cooldown: Duration.minutes(1) },
          grants: {
            read: [path.join(root, "data")],
            write: ["/srv/out"],
            net: ["example.com:443"],
            env: ["HOME"]
          }
        }),
        makeSpec({ name: "on", kind: linkifier, modulePath: path.join(root, "plugins/on.ts"), timeout: 250 }),
        makeSpec({ name: "last", kind: extractor, modulePath: path.join(root, "plugins/b.mjs") })
      ])
    })
  )

  it.effect("is empty where there is no file", () =>
    Effect.gen(function* () {
      const nothing = { file: undefined, specs: [], disabled: [], readAuth: false }
      assert.deepStrictEqual(yield* loadConfig(workspace({})), nothing)
      assert.deepStrictEqual(yield* loadConfig(path.join(folder, "no-such-workspace")), nothing)
    })
  )

  it("may be TypeScript, JavaScript or CommonJS, and import its own modules", async () => {
    const entry = '{ linkifiers: [{ name: "a", modulePath: "./a.ts" }] }'
    const sources: ReadonlyArray<Files> = [
      { "agentlip.config.ts": `import type { X } from "./x.ts"\nexport default ${entry} satisfies X` },
      { "agentlip.config.mjs": `export default ${entry}` },
      { "agentlip.config.js": `module.exports = ${entry}`, "package.json": '{ "type": "commonjs" }' },
      {
        "agentlip.config.ts": 'export { config as default } from "./shared.mjs"',
        "shared.mjs": `export const config = ${entry}`
      }
    ]
    for (const files of sources) {
      const root = workspace(files)
      const [spec, ...rest] = await specsIn(root)
      assert.strictEqual(spec?.modulePath, path.join(root, "a.ts"))
      assert.isEmpty(rest)
    }
  })

  it("lets a missing module be that plugin's LOAD_ERROR, file or package", async () => {
    const root = withConfig(`export default { linkifiers: [
      { name: "a", modulePath: "./gone/a.ts" }, { name: "b", modulePath: "@gone/b/c" }
    ] }`)
    const specs = await specsIn(root)
    assert.deepStrictEqual(
      specs.map(({ modulePath }) => path.relative(root, modulePath)),
      ["gone/a.ts", "node_modules/@gone/b/c"]
    )
  })

  it("has a type that refuses unknown keys and times (the compiler checks this)", () => {
    const typed = ({ linkifiers = [] }: AgentlipConfig) => linkifiers.length
    assert.strictEqual(typed({ linkifiers: [{ name: "a", modulePath: "./a.ts", timeout: "2 seconds" }] }), 1)
    // @ts-expect-error -- "soon" is no duration
    assert.strictEqual(typed({ linkifiers: [{ name: "a", modulePath: "./a.ts", timeout: "soon" }] }), 1)
    // @ts-expect-error -- an unknown key
    assert.strictEqual(typed({ linkifiers: [{ name: "a", modulePath: "./a.ts", timeoutMs: 5 }] }), 1)
  })
})

describe("a mistake in an entry", () => {
  const time = 'milliseconds or a text such as "2 seconds"'
  const rows: ReadonlyArray<readonly [fields: string, path: string, problem: string]> = [
    ["timeoutMs: 5", "timeoutMs", 'is not a known key; did you mean "timeout"?'],
    ["tmieout: 5", "tmieout", 'is not a known key; did you mean "timeout"?'],
    ["colour: 1", "colour", "is not a known key; remove it, or use one of name, modulePath, timeout"],
    ["timeout: 0", "timeout", `expected a time longer than 0: ${time}, got 0`],
    ["timeout: -5", "timeout", `expected a time longer than 0: ${time}, got -5`],
    ["timeout: NaN", "timeout", "got NaN"],
    ["timeout: Infinity", "timeout", "got Infinity"],
    ['timeout: "Infinity"', "timeout", 'got "Infinity"'],
    ['timeout: "soon"', "timeout", 'got "soon"'],
    ['timeout: "0 seconds"', "timeout", 'got "0 seconds"'],
    ["timeout: undefined", "timeout", "got undefined"],
    ["timeout: [1, 2]", "timeout", "got an array"],
    ['grace: "-1 second"', "grace", `expected a time of 0 or more: ${time}, got "-1 second"`],
    ["config: []", "config", "expected an object, got an array"],
    ['config: "s"', "config", 'expected an object, got "s"'],
    ["config: { a: () => 1 }", "config.a", "expected a JSON value, got a function"],
    ['config: { "b-c": new Map() }', 'config["b-c"]', "expected a JSON value, got an object"],
    ["config: { a: undefined }", "config.a", "expected a JSON value, got undefined"],
    ["config: { a: 1n }", "config.a", "expected a JSON value, got 1"],
    ["get config() { const a = {}; a.a = a; return a }", "config.a", "expected a JSON value, got an object"],
    ['isolation: "vm"', "isolation", 'expected "thread" | "process" | "wasm", got "vm"'],
    ['reuse: "always"', "reuse", 'expected "plugin" | "never", got "always"'],
    ["concurrency: 0", "concurrency", "expected an integer of at least 1, got 0"],
    ["memory: 1.5", "memory", "expected an integer of at least 1, got 1.5"],
    ['memory: "64"', "memory", 'expected an integer of at least 1, got "64"'],
    ["limits: { outputItems: -1 }", "limits.outputItems", "expected an integer of at least 1, got -1"],
    ["limits: { output: 1 }", "limits.output", 'is not a known key; did you mean "outputItems"?'],
    ["limits: { cpu: 0 }", "limits.cpu", "expected an integer of at least 1, got 0"],
    ['limits: { messageRate: "1" }', "limits.messageRate", 'expected an integer of at least 1, got "1"'],
    ["limits: { outputValues: 0.5 }", "limits.outputValues", "expected an integer of at least 1, got 0.5"],
    ["limits: { fetchBytes: -1 }", "limits.fetchBytes", "expected an integer of at least 1, got -1"],
    ["limits: { fetchConcurrency: null }", "limits.fetchConcurrency", "expected an integer of at least 1"],
    ['enforcement: "none"', "enforcement", 'expected "enforce" | "audit", got "none"'],
    ["sandbox: true", "sandbox", 'expected "bubblewrap" | "none" | "auto", got true'],
    ['integrity: "sha512-abc"', "integrity", "as `agentlip plugin integrity FILE` prints it"],
    ["memory: 64, limits: { memory: 64 }", "memory", "is given as limits.memory too; keep one of them"],
    ["memory: 4096", "memory", "expected at most 512: nearer to the engine's own limit"],
    ["limits: { memory: 513 }", "limits.memory", "expected at most 512: "],
    ["limits: { outputDepth: 501 }", "limits.outputDepth", "expected at most 500: "],
    ["limits: { logLines: 0 }", "limits.logLines", "expected an integer of at least 1, got 0"],
    ['cache: true, grants: { net: ["example.com"] }', "cache", "true contradicts grants.net"],
    ['cache: true, enforcement: "audit"', "cache", 'true contradicts enforcement "audit"'],
    ["breaker: 3", "breaker", "expected an object, got 3"],
    ["breaker: { failureThreshold: 0 }", "breaker.failureThreshold", "expected an integer of at least 1"],
    ['breaker: { cooldown: "" }', "breaker.cooldown", "expected a time longer than 0"],
    ["breaker: { threshold: 3 }", "breaker.threshold", "use one of failureThreshold, cooldown"],
    ['enabled: "no"', "enabled", 'expected true or false, got "no"'],
    ['grants: { read: "data" }', "grants.read", 'expected a list, got "data"'],
    ['grants: { read: ["data", 3] }', "grants.read[1]", "expected a text that is not blank, got 3"],
    ["grants: { network: [] }", "grants.network", 'did you mean "net"?'],
    ['grants: { read: [".agentlip/db"] }', "grants.read[0]", '".agentlip/db" lies in .agentlip/'],
    ['grants: { write: ["a/../.AGENTLIP"] }', "grants.write[0]", "which no plugin may use"]
  ]
  it.each(rows)("%s", async (fields, at, problem) => {
    const [found, ...rest] = await problemsIn(withEntry(fields))
    assert.strictEqual(found?.path, `linkifiers[0].${at}`)
    assert.include(found?.problem, problem)
    assert.isEmpty(rest)
  })
})

describe("a mistake in the shape", () => {
  const rows: ReadonlyArray<readonly [config: string, path: string, problem: string]> = [
    ["5", "", "expected an object, got 5"],
    ["undefined", "", "expected an object, got undefined"],
    ["() => ({})", "", "expected an object, got a function"],
    ["[]", "", "expected an object, got an array"],
    ["{ linkifers: [] }", "linkifers", 'did you mean "linkifiers"?'],
    ["{ linkifiers: {} }", "linkifiers", "expected a list, got an object"],
    ["{ extractors: [null] }", "extractors[0]", "expected an object, got null"],
    ['{ extractors: [{ name: "a" }] }', "extractors[0].modulePath", "is missing; add it"],
    ['{ extractors: [{ modulePath: "./a.ts" }] }', "extractors[0].name", "is missing; add it"],
    [
      '{ extractors: [{ name: " ", modulePath: "./a.ts" }] }',
      "extractors[0].name",
      'expected a text that is not blank, got " "'
    ],
    [
      '{ linkifiers: [{ name: "a", modulePath: "./a.ts" }], extractors: [{ name: "a", modulePath: "./b.ts" }] }',
      "extractors[0].name",
      '"a" is already used by linkifiers[0].name; rename one'
    ]
  ]
  it.each(rows)("%s", async (config, at, problem) => {
    const [found, ...rest] = await problemsIn(withConfig(`export default ${config}`))
    assert.strictEqual(found?.path, at)
    assert.include(found?.problem, problem)
    assert.isEmpty(rest)
  })
})

describe("a module path", () => {
  const withModule = (modulePath: string, files: Files = {}): string =>
    withConfig(
      `export default { linkifiers: [{ name: "a", modulePath: ${JSON.stringify(modulePath)} }] }`,
      files
    )
  const refusals: ReadonlyArray<readonly [modulePath: string, problem: string]> = [
    ["", "expected a text that is not blank"],
    ["../a.ts", '"../a.ts" leaves the workspace'],
    ["./plugins/../../a.ts", "leaves the workspace"],
    ["..", "leaves the workspace"],
    ["/etc/passwd", "leaves the workspace (it is /etc/passwd)"],
    ["../workspace-2/a.ts", "leaves the workspace"],
    ["./.agentlip/a.ts", "lies in .agentlip/, which only the hub may use"],
    ["./plugins/../.AgentLip/a.ts", "lies in .agentlip/"],
    ["fs", "is a module of the runtime itself"],
    ["node:child_process", "is a module of the runtime itself"],
    ["https://example.com/a.js", "is a URL"],
    ["file:///etc/passwd", "is a URL"],
    ["data:text/javascript,0", "is a URL"],
    ["pkg/../../../a.js", "leaves its package"],
    ["leads-out/exported", 'Invalid "exports" target'],
    ["main-out", "it leads outside"],
    ["plugins/a.ts", 'is read as the name of a package; for the file in the workspace write "./plugins/a.ts"']
  ]
  const installed: Files = {
    "plugins/a.ts": "",
    "node_modules/pkg/package.json": JSON.stringify({
      name: "pkg",
      exports: {
        "./both": { import: "./both.mjs", require: "./both.cjs" },
        "./esm": { import: "./esm.mjs" },
        "./any": "./any.js",
        "./hub": "./.agentlip/any.js"
      }
    }),
    "node_modules/leads-out/package.json": JSON.stringify({
      exports: { ".": "./link/outside.mjs", "./exported": "../../../outside.mjs" }
    }),
    "node_modules/leads-out/index.js": "",
    "node_modules/main-out/package.json": '{"main":"../../../outside.mjs"}',
    "node_modules/not-json/package.json": '{\n  "exports": "./a.js",\n}',
    "node_modules/cut-off/package.json": '{\n  "exports"',
    "node_modules/mixed/package.json": '{ "exports": { ".": "./a.js", "import": "./a.js" } }',
    "node_modules/no-main/package.json": "{}",
    "node_modules/folder/package.json/a.js": "",
    "node_modules/pkg/both.mjs": "",
    "node_modules/pkg/both.cjs": "",
    "node_modules/pkg/esm.mjs": "",
    "node_modules/pkg/any.js": "",
    "node_modules/pkg/internal.js": "",
    "node_modules/pkg/.agentlip/any.js": ""
  }
  it.each(refusals)("%s is refused", async (modulePath, problem) => {
    const [found, ...rest] = await problemsIn(withModule(modulePath, installed))
    assert.strictEqual(found?.path, "linkifiers[0].modulePath")
    assert.include(found?.problem, problem)
    assert.isEmpty(rest)
  })

  const broken: ReadonlyArray<readonly [modulePath: string, reason: string, at: Array<number> | undefined]> =
    [
      ["not-json", "not-json/package.json is not valid JSON", [3, 1]],
      ["cut-off", "cut-off/package.json is not valid JSON", [2, 12]],
      ["not-json/sub", "not-json/package.json is not valid JSON", [3, 1]],
      ["mixed", "mixed/package.json mix conditions and paths", undefined],
      ["no-main", "has no main module", undefined],
      ["folder", 'package.json": it is a folder, not a regular file', undefined],
      ["pkg/internal.js", "Package subpath './internal.js' is not defined by \"exports\"", undefined]
    ]
  it.each(broken)("%s, a broken package, stops no other plugin", async (modulePath, reason, at) => {
    const entries = [
      { name: "a", modulePath },
      { name: "b", modulePath: "./plugins/b.mjs" }
    ]
    const root = withConfig(`export default { linkifiers: ${JSON.stringify(entries)} }`, {
      ...installed,
      "plugins/b.mjs": 'export default { name: "b", version: "1.0.0", enrich: () => [] }'
    })
    const { specs } = await Effect.runPromise(loadConfig(root))
    const [first, second] = await Effect.runPromise(
      Effect.flatMap(PluginRuntime, (plugins) =>
        Effect.forEach(specs, (spec) => Effect.result(plugins.load(spec)))
      ).pipe(
        Effect.provide(PluginRuntime.layer),
        Effect.provide([CircuitBreaker.layer(), WorkerLayer.layerThread()])
      )
    )
    assert.isTrue(second !== undefined && Result.isSuccess(second))
    if (first === undefined || Result.isSuccess(first) || first.failure._tag !== "LOAD_ERROR")
      return assert.fail("the broken package loads")
    const { failure } = first
    assert.include(failure.reason, reason)
    assert.strictEqual(failure.modulePath, path.join(root, "node_modules", modulePath))
    assert.deepStrictEqual(failure.place && [failure.place.line, failure.place.column], at)
    if (at !== undefined) assert.include(failure.message, `package.json:${at.join(":")}`)
  })

  it("of a package cannot lead out of it by a link", async () => {
    const root = withModule("leads-out", installed)
    const outside = path.join(root, "node_modules/outside.mjs")
    fs.writeFileSync(outside, "")
    fs.mkdirSync(path.join(root, "node_modules/leads-out/link"))
    fs.symlinkSync(outside, path.join(root, "node_modules/leads-out/link/outside.mjs"))
    const [found] = await problemsIn(root)
    assert.include(found?.problem, "it leads outside")
  })

  it("of a package cannot lead into a hub's folder either", async () => {
    const [found] = await problemsIn(withModule("pkg/hub", installed))
    assert.include(found?.problem, "no plugin may read the hub's own folder")
  })

  it.each([
    ["pkg/both", "node_modules/pkg/both.mjs"],
    ["pkg/esm", "node_modules/pkg/esm.mjs"],
    ["pkg/any", "node_modules/pkg/any.js"],
    ["./plugins/a.ts", "plugins/a.ts"],
    ["./..a.ts", "..a.ts"]
  ])("%s is %s", async (modulePath, file) => {
    const root = withModule(modulePath, installed)
    assert.deepStrictEqual(
      (await specsIn(root)).map((spec) => spec.modulePath),
      [path.join(root, file)]
    )
  })

  it("is a plugin that the hub brings along, unless the workspace has installed it", async () => {
    const shipped = { "pkg/any": "/hub/any.js" }
    const modulePathOf = async (root: string) => {
      const { specs } = await Effect.runPromise(loadConfig(root, { shipped }))
      return specs.map((spec) => spec.modulePath)
    }
    const root = withModule("pkg/any", installed)
    assert.deepStrictEqual(await modulePathOf(root), [path.join(root, "node_modules/pkg/any.js")])
    assert.deepStrictEqual(await modulePathOf(withModule("pkg/any", {})), ["/hub/any.js"])
    const other = withModule("toString", {})
    assert.deepStrictEqual(await modulePathOf(other), [path.join(other, "node_modules/toString")])
  })

  it("may be absolute inside the workspace", async () => {
    const root = workspace({})
    const modulePath = path.join(root, "a.ts")
    write(root, {
      "agentlip.config.ts": `export default { linkifiers: [{ name: "a", modulePath: ${JSON.stringify(modulePath)} }] }`
    })
    assert.deepStrictEqual(
      (await specsIn(root)).map((spec) => spec.modulePath),
      [modulePath]
    )
  })

  it.each([
    ["a link to a file outside", "../outside.ts", "plugins/link", "./plugins/link"],
    ["a link to a folder outside", "..", "plugins/link", "./plugins/link/outside.ts"],
    ["a link to what is not there yet", "../not-yet.ts", "plugins/link", "./plugins/link"],
    ["a file not there yet in a linked folder", "..", "plugins/link", "./plugins/link/not-yet.ts"]
  ])("%s leaves the workspace", async (_, target, link, modulePath) => {
    const root = withModule(modulePath, { "plugins/a.ts": "", "../outside.ts": "" })
    fs.symlinkSync(path.resolve(root, target), path.join(root, link))
    const [found] = await problemsIn(root)
    assert.strictEqual(found?.path, "linkifiers[0].modulePath")
    assert.include(found?.problem, "leaves the workspace")
  })

  it("a link to the hub's folder is refused, one within the workspace is its target", async () => {
    const root = withModule("./link/a.ts", { ".agentlip/a.ts": "", "plugins/a.ts": "" })
    fs.symlinkSync(".agentlip", path.join(root, "link"))
    const [found] = await problemsIn(root)
    assert.include(found?.problem, '"./link/a.ts" lies in .agentlip/')
    fs.rmSync(path.join(root, "link"))
    fs.symlinkSync("plugins", path.join(root, "link"))
    assert.deepStrictEqual(
      (await specsIn(root)).map((spec) => spec.modulePath),
      [path.join(root, "plugins/a.ts")]
    )
  })

  it("is judged from where a linked workspace really is", async () => {
    const root = withModule("./a.ts")
    const link = `${root}-link`
    fs.symlinkSync(root, link)
    assert.deepStrictEqual(
      (await specsIn(link)).map((spec) => spec.modulePath),
      [path.join(root, "a.ts")]
    )
  })
})

it("lists all problems at once, in one error with one line for each", async () => {
  const root = withConfig(`export default {
    linkifers: [],
    linkifiers: [
      {
        name: "a", modulePath: "../a.ts", timeout: 0, memory: 1, limits: { memory: 1, outputDepth: 501 },
        cache: true, grants: { env: ["HOME"] }
      },
      { name: "a", modulePath: "./a.ts", breaker: { cooldown: -1, failures: 2 } }
    ],
    extractors: [{ name: "a" }]
  }`)
  const { refused } = await ask(root)
  assert.strictEqual(refused?.file, path.join(root, "agentlip.config.ts"))
  assert.deepStrictEqual(
    refused?.problems.map((problem) => problem.path),
    [
      "linkifers",
      "linkifiers[0].modulePath",
      "linkifiers[0].timeout",
      "linkifiers[0].limits.outputDepth",
      "linkifiers[1].breaker.failures",
      "linkifiers[1].breaker.cooldown",
      "extractors[0].modulePath",
      "linkifiers[0].memory",
      "linkifiers[0].cache",
      "linkifiers[1].name",
      "extractors[0].name"
    ]
  )
  assert.match(refused?.message ?? "", /has 11 problems:\n {2}linkifers: /)
  assert.strictEqual(refused?.message.split("\n").length, 12)
})

it.effect("does not repeat objects and long texts: they may be secrets", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(
      loadConfig(withEntry(`grace: { key: "hunter2" }, timeout: "${"x".repeat(1000)}"`))
    )
    assert.instanceOf(error, ConfigError)
    assert.notInclude(error.message, "hunter2")
    assert.isBelow(error.message.length, 600)
  })
)

describe("a file that cannot be loaded", () => {
  const rows: ReadonlyArray<readonly [source: string, problem: string | RegExp]> = [
    ["export default {\n  linkifiers: [\n", /^cannot be loaded: SyntaxError in line [23]: /],
    ["enum A { B }\nexport default {}", /^cannot be loaded: SyntaxError in line 1: .*enum/],
    ["\n\nthrow new RangeError('no token')", "cannot be loaded: RangeError in line 3: no token"],
    ["throw null", "cannot be loaded: throws null"],
    ["await Promise.reject({ code: 5 })", "cannot be loaded: throws { code: 5 }"],
    ["import './gone.ts'\nexport default {}", /^cannot be loaded: .*gone\.ts/],
    ["export const linkifiers = []", /^has no default export; write `export default/],
    ["", /^has no default export/]
  ]
  it.each(rows)("%j", async (source, expected) => {
    const root = withConfig(source, { "package.json": '{ "type": "module" }' })
    const { refused } = await ask(root)
    assert.strictEqual(refused?.file, path.join(root, "agentlip.config.ts"))
    const [found, ...rest] = refused?.problems ?? []
    assert.strictEqual(found?.path, "")
    if (typeof expected === "string") assert.strictEqual(found?.problem, expected)
    else assert.match(found?.problem ?? "", expected)
    assert.isEmpty(rest)
  })

  it("is an ES module in a package of type commonjs: the problem says what to write", async () => {
    const { refused } = await ask(
      withConfig("export default {}", { "package.json": '{ "type": "commonjs" }' })
    )
    assert.match(
      refused?.problems[0]?.problem ?? "",
      /SyntaxError.*; if package\.json .* write "type": "module" there$/
    )
  })

  it("two config files are an error", async () => {
    const root = workspace({
      "agentlip.config.ts": "export default {}",
      "agentlip.config.mjs": "export default {}"
    })
    assert.deepStrictEqual(await problemsIn(root), [
      {
        path: "",
        problem: "is not the only config file here (agentlip.config.ts, agentlip.config.mjs); keep one"
      }
    ])
  })

  it("is a folder, or a link to nothing", async () => {
    const asFolder = workspace({ "agentlip.config.ts/x": "" })
    assert.match((await problemsIn(asFolder))[0]?.problem ?? "", /^cannot be read: .*EISDIR/)
    const asLink = workspace({})
    fs.symlinkSync("gone.ts", path.join(asLink, "agentlip.config.ts"))
    assert.match((await problemsIn(asLink))[0]?.problem ?? "", /^cannot be read: .*ENOENT/)
  })
})

describe("a reload", () => {
  const naming = (name: string): string => `{ linkifiers: [{ name: "${name}", modulePath: "./a.ts" }] }`
  it.each<[string, (config: string) => Files]>([
    ["a module", (config) => ({ "agentlip.config.ts": `export default ${config}` })],
    [
      "CommonJS",
      (config) => ({
        "agentlip.config.js": `module.exports = ${config}`,
        "package.json": '{ "type": "commonjs" }'
      })
    ]
  ])("of %s sees the new content, the old one again, and a mistake mended", async (_, files) => {
    const root = workspace({})
    const namesAfter = async (config: string): Promise<ReadonlyArray<string>> => {
      write(root, files(config))
      return (await specsIn(root)).map(({ name }) => name)
    }
    assert.deepStrictEqual(await namesAfter(naming("first")), ["first"])
    assert.deepStrictEqual(await namesAfter(naming("second")), ["second"])
    assert.deepStrictEqual(await namesAfter(naming("first")), ["first"])
    write(root, files("{ linkifiers: 5 }"))
    assert.strictEqual((await problemsIn(root))[0]?.path, "linkifiers")
    assert.deepStrictEqual(await namesAfter(naming("third")), ["third"])
  })

  it("of a file that did not change does not run it again", async () => {
    const root = withConfig(`import fs from "node:fs"
      fs.appendFileSync(new URL("runs", import.meta.url), "x")
      export default {}`)
    await ask(root)
    await ask(root)
    assert.strictEqual(fs.readFileSync(path.join(root, "runs"), "utf8"), "x")
  })
})

describe("the example workspace", () => {
  it("runs the shipped plugins and its own", async () => {
    const names = ["urls", "mentions", "references", "links", "todos"]
    const { loaded, refused } = await ask(example)
    assert.isUndefined(refused, refused?.message)
    assert.deepStrictEqual(
      loaded?.specs.map(({ name }) => name),
      names
    )
    assert.deepStrictEqual(loaded?.disabled, [])
    for (const spec of loaded?.specs ?? []) assert.isTrue(fs.existsSync(spec.modulePath), spec.modulePath)
  })

  it.live("has a plugin that runs with its enum", () =>
    Effect.gen(function* () {
      const runtime = yield* PluginRuntime
      const at = (name: string): string => path.join(example, "plugins", name)
      const message = {
        id: "m1",
        content_raw: "Plan\nTODO(ana): rotate keys\n- [x] Ship it\nno TODO: here",
        sender: "ana",
        topic_id: "t1",
        channel_id: "c1",
        created_at: "2026-01-01T00:00:00.000Z"
      }
      const todos = makeSpec({ name: "todos", kind: extractor, modulePath: at("todos.ts") })
      assert.deepStrictEqual(yield* runtime.run(todos, { message }), [
        {
          kind: "todo",
          value_json: { text: "rotate keys", state: "open", owner: "ana" },
          dedupe_key: "rotate keys"
        },
        { kind: "todo", value_json: { text: "Ship it", state: "done" }, dedupe_key: "ship it" }
      ])
    }).pipe(
      Effect.provide(
        PluginRuntime.layer.pipe(Layer.provide(CircuitBreaker.layer()), Layer.provide(WorkerLayer.layer()))
      )
    )
  )
})
