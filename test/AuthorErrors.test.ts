/** What the author of a plugin is told of a mistake: what happened, where in their own file, and what to do. */
import { assert, describe, layer } from "@effect/vitest"
import { Duration, Effect, Logger, References } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { ExecutionError, LoadError } from "../src/Errors.ts"
import { linkifier, PluginRuntime, PluginStats } from "../src/index.ts"
import type { PluginSpecOptions } from "../src/Plugin.ts"
import { layerRuntime, levels, message, specOn, type Level } from "./support/isolation.ts"
import { failing, temporary, write } from "./support/plugins.ts"

const plugin = (enrich: string): string =>
  `export default { name: "mine", version: "1.0.0", enrich: ${enrich} }\n`

/** Runs a plugin made of these files; the first is its entry. */
const run = Effect.fnUntraced(function* (
  level: Level,
  files: Readonly<Record<string, string>>,
  options: Partial<PluginSpecOptions<typeof linkifier>> = {}
) {
  const folder = yield* temporary
  for (const [name, text] of Object.entries(files)) write(path.join(folder, name), text)
  const spec = specOn(level, {
    name: "mine",
    kind: linkifier,
    modulePath: path.join(folder, Object.keys(files)[0] ?? ""),
    timeout: Duration.seconds(20),
    ...options
  })
  const runtime = yield* PluginRuntime
  return { folder, run: runtime.run(spec, { message }) }
})

/** The error of a plugin whose load waits for ever; on a busy machine it may begin to wait after the first deadline. */
const stuck = (level: Level, files: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const { run: soon } = yield* run(level, files, { timeout: Duration.millis(500) })
    const error = yield* failing(soon, "TIMEOUT")
    if ("waitingFor" in error) return error
    const { run: late } = yield* run(level, files, { timeout: Duration.seconds(5) })
    return yield* failing(late, "TIMEOUT")
  })

const loadError = (error: { readonly _tag: string }): LoadError => error as LoadError
const missingGrants = (error: { readonly _tag: string }) => (error as ExecutionError).missingGrants

describe.each(levels.filter(({ reuse }) => reuse === "plugin"))("AuthorErrors on $name", (level) => {
  layer(layerRuntime(), { excludeTestServices: true })((it) => {
    it.effect("a missing export: the error names the importer, the place, and that it is a type", () =>
      Effect.gen(function* () {
        const { folder, run: ran } = yield* run(level, {
          "entry.ts": `import "./middle.ts"\n${plugin("() => []")}`,
          "middle.ts": `// first\nimport { real, Shape } from "./shapes.ts"\nexport const it = real\n`,
          "shapes.ts": "export interface Shape { a: number }\nexport const real = 1\n"
        })
        const error = loadError(yield* failing(ran, "LOAD_ERROR"))
        const file = path.join(folder, "middle.ts")
        assert.strictEqual(error.importer, file)
        assert.deepStrictEqual(
          { ...error.place, frame: error.place?.frame.split("\n").slice(0, 3) },
          {
            file,
            line: 2,
            column: 16,
            frame: [
              "  1 | // first",
              '> 2 | import { real, Shape } from "./shapes.ts"',
              "    |                ^"
            ]
          }
        )
        assert.include(error.reason, "import type { Shape }")
        assert.include(error.message, `${file}:2:16`)
      })
    )

    it.effect("a missing export that is not a type: the error does not call it one", () =>
      Effect.gen(function* () {
        const { run: ran } = yield* run(level, {
          "entry.ts": `import { reel } from "./shapes.ts"\n${plugin("() => reel")}`,
          "shapes.ts": "export const real = 1\n"
        })
        const error = loadError(yield* failing(ran, "LOAD_ERROR"))
        assert.include(error.reason, "reel")
        assert.include(error.reason, "shapes.ts must export it")
        assert.notInclude(error.reason, "import type")
      })
    )

    it.effect("what throws at import: the line that threw, and no file of the guest's", () =>
      Effect.gen(function* () {
        const { folder, run: ran } = yield* run(level, {
          "entry.ts": `interface A { a: string }\nconst fail = (a: A): never => {\n  throw new RangeError(a.a)\n}\nfail({ a: "at once" })\n${plugin("() => []")}`
        })
        const error = loadError(yield* failing(ran, "LOAD_ERROR"))
        assert.strictEqual(error.place?.file, path.join(folder, "entry.ts"))
        assert.strictEqual(error.place?.line, 3)
        assert.include(error.place?.frame, "> 3 |   throw new RangeError(a.a)")
        const frames = error.cause?.stack?.split("\n").filter((line) => line.startsWith("    at ")) ?? []
        assert.lengthOf(frames, 2)
        for (const frame of frames) assert.include(frame, "entry.ts:")
      })
    )

    it.effect.each(["entry.mjs", "entry.ts"])("a syntax error in %s has its line", (name) =>
      Effect.gen(function* () {
        const { folder, run: ran } = yield* run(level, {
          [name]: `const a = 1\nconst b = = 2\n${plugin("() => []")}`
        })
        const error = loadError(yield* failing(ran, "LOAD_ERROR"))
        assert.strictEqual(error.place?.file, path.join(folder, name))
        assert.strictEqual(error.place?.line, 2)
        assert.include(error.place?.frame, "> 2 | const b = = 2")
      })
    )

    it.effect("an ES module in a package of type commonjs is told to say so", () =>
      Effect.gen(function* () {
        const { folder, run: ran } = yield* run(level, {
          "entry.ts": `import type {} from "node:path"\n${plugin("() => []")}`,
          "package.json": '{ "type": "commonjs" }'
        })
        const { reason } = loadError(yield* failing(ran, "LOAD_ERROR"))
        assert.include(reason, `${path.join(folder, "package.json")} says "type": "commonjs"`)
        assert.include(reason, "its name must end in .mts.")
      })
    )

    it.effect("a top-level await that never settles is named", () =>
      Effect.gen(function* () {
        const error = yield* stuck(level, {
          "entry.ts": `await new Promise(() => {})\n${plugin("() => []")}`
        })
        assert.deepInclude({ ...error }, { phase: "load", waitingFor: "top-level await" })
        assert.include(error.message, 'top-level "await"')
      })
    )

    it.effect("a configSchema that never returns is named", () =>
      Effect.gen(function* () {
        const schema = `{ "~standard": { version: 1, vendor: "x", validate: () => new Promise(() => {}) } }`
        const error = yield* stuck(level, {
          "entry.ts": `export default { configSchema: ${schema}, enrich: () => [] }`
        })
        assert.deepInclude({ ...error }, { waitingFor: "configSchema" })
      })
    )

    it.effect("a module in an endless loop is not reported as waiting", () =>
      Effect.gen(function* () {
        const { run: ran } = yield* run(
          level,
          { "entry.ts": `for (;;) {}\n${plugin("() => []")}` },
          { timeout: Duration.seconds(1) }
        )
        const error = yield* failing(ran, "TIMEOUT")
        assert.notProperty(error, "waitingFor")
      })
    )

    it.effect("an enum does not move the lines of a stack, and the guest is not on it", () =>
      Effect.gen(function* () {
        const { folder, run: ran } = yield* run(level, {
          "entry.ts": `enum Colour { Red, Green }\nconst fail = (at: number): never => {\n  throw new TypeError(Colour[at])\n}\nexport default { name: "mine", version: "1.0.0",\n  enrich: () => fail(Colour.Green) }\n`
        })
        const error = yield* failing(ran, "EXECUTION_ERROR")
        const stack = error._tag === "EXECUTION_ERROR" ? (error.cause.stack ?? "") : ""
        const [head, first, second, ...more] = stack.split("\n")
        assert.strictEqual(head, "TypeError: Green")
        assert.include(first, `${path.join(folder, "entry.ts")}:3:`)
        assert.include(second, `${path.join(folder, "entry.ts")}:6:`)
        assert.isEmpty(more)
      })
    )

    it.effect("a logged error shows the plugin's frames alone", () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const { run: ran } = yield* run(level, {
          "entry.ts": plugin(`(_, { log }) => {\n  log.error(new Error("seen"))\n  return []\n}`)
        })
        yield* ran.pipe(
          Effect.provideService(References.MinimumLogLevel, "All"),
          Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]))
        )
        const frames = lines
          .join("⏎")
          .split("⏎")
          .filter((line) => line.startsWith("    at "))
        assert.lengthOf(frames, 1)
        assert.include(frames[0], "entry.ts:2:")
      })
    )

    it.effect("a stack that a plugin makes up shows it no file that it could not import", () =>
      Effect.gen(function* () {
        const { folder, run: ran } = yield* run(level, {
          "plugin/entry.ts":
            `const error = new Error("made up")\nerror.stack = "Error: made up\\n    at f (file://" + FILE + ":1:1)"\nthrow error`.replace(
              "FILE",
              'new URL("../secret.ts", import.meta.url).pathname'
            ),
          "secret.ts": "const password = 'hunter2'\n"
        })
        const error = loadError(yield* failing(ran, "LOAD_ERROR"))
        // It did name the file: what follows would be shown if it were the plugin's.
        assert.strictEqual(error.place?.file, path.join(folder, "secret.ts"))
        assert.isTrue(fs.existsSync(path.join(folder, "secret.ts")))
        assert.strictEqual(error.place?.frame, "")
        assert.notInclude(JSON.stringify(error), "hunter2")
      })
    )

    const enriches = (data: string): string =>
      `() => [{ kind: "k", span: { start: 0, end: 1 }, data: ${data} }]`
    const losses: ReadonlyArray<readonly [string, string, string]> = [
      ["NaN", enriches("{ score: NaN }"), "[0].data.score: expected a finite number, got NaN"],
      [
        "Infinity",
        enriches('{ "a b": [1, Infinity] }'),
        '[0].data["a b"][1]: expected a finite number, got Infinity'
      ],
      ["a Map", enriches("{ tags: new Map([[1, 2]]) }"), "[0].data.tags: expected JSON, got a Map"],
      [
        "a Set in a list",
        enriches("{ tags: [{}, new Set([1])] }"),
        "[0].data.tags[1]: expected JSON, got a Set"
      ],
      [
        "undefined in a list",
        enriches("{ list: [1, undefined] }"),
        "[0].data.list[1]: expected JSON, got undefined"
      ],
      [
        "a function in a list",
        enriches("{ list: [() => {}] }"),
        "[0].data.list[0]: expected JSON, got a function"
      ],
      [
        "a promise",
        enriches("{ title: Promise.resolve(1) }"),
        "[0].data.title: expected JSON, got a Promise; await it"
      ],
      ["a BigInt", enriches("{ a: { id: 1n } }"), "[0].data.a.id: expected JSON, which has no BigInt"],
      [
        "an iterator",
        "({ message }) => message.content_raw.matchAll(/o/g).map(() => 1)",
        "expected an array, got an iterator"
      ],
      ["a generator", "function* () {}", ".toArray()"],
      ["an async generator", "async function* () {}", "Array.fromAsync"],
      ["a Set", "() => new Set()", "expected JSON, got a Set; return [...set]"]
    ]
    it.effect.each(losses)("%s in an output is refused with its path", ([, enrich, issue]) =>
      Effect.gen(function* () {
        const { run: ran } = yield* run(level, { "entry.ts": plugin(enrich) })
        const error = yield* failing(ran, "INVALID_OUTPUT")
        assert.include(error._tag === "INVALID_OUTPUT" ? error.issue : "", issue)
      })
    )

    it.effect(
      "what JSON leaves out or keeps is no loss: null, {}, dates, members that are undefined or functions",
      () =>
        Effect.gen(function* () {
          const data =
            "{ a: null, b: {}, c: [null, {}, []], d: new Date(0), e: undefined, f() {}, g: Object.create(null), h: '{}null' }"
          const { run: ran } = yield* run(level, { "entry.ts": plugin(enriches(data)) })
          assert.deepStrictEqual((yield* ran)[0]?.data, {
            a: null,
            b: {},
            c: [null, {}, []],
            d: "1970-01-01T00:00:00.000Z",
            g: {},
            h: "{}null"
          })
        })
    )

    it.effect("5,000 items exceed the limit of items, whatever the items are", () =>
      Effect.gen(function* () {
        for (const item of ["1", "{ kind: 'k', span: { start: 0, end: 1 }, data: { a: [1, 2, 3] } }"]) {
          const { run: ran } = yield* run(level, { "entry.ts": plugin(`() => Array(5000).fill(${item})`) })
          const error = yield* failing(ran, "INVALID_OUTPUT")
          assert.include(error.message, "limits.outputItems")
        }
      })
    )

    /** What a run logs as warnings. */
    const warnings = Effect.fnUntraced(function* <A, E, R>(ran: Effect.Effect<A, E, R>, times = 1) {
      const lines: Array<string> = []
      yield* Effect.replicateEffect(Effect.exit(ran), times).pipe(
        Effect.provide(
          Logger.layer([
            Logger.make(({ logLevel, message }) => {
              if (logLevel === "Warn") lines.push(String(message))
            })
          ])
        )
      )
      return lines
    })

    it.effect("a missing variable is logged once, with the line that grants it", () =>
      Effect.gen(function* () {
        const enrich =
          "() => { void process.env.GITHUB_TOKEN; void process.env.NODE_ENV; void process.env.toJSON; return [] }"
        const files = { "entry.ts": plugin(enrich) }
        const missed = yield* run(level, files)
        assert.deepStrictEqual(yield* warnings(missed.run, 3), [
          'process.env.GITHUB_TOKEN is undefined, because it is not granted; grant it with grants.env: ["GITHUB_TOKEN"]'
        ])
        const granted = yield* run(level, files, { grants: { env: ["GITHUB_TOKEN"] } })
        assert.isEmpty(yield* warnings(granted.run))
      })
    )

    it.effect("a fetch that is not granted rejects on the author's line, with the line that grants it", () =>
      Effect.gen(function* () {
        const { folder, run: ran } = yield* run(level, {
          "entry.ts": plugin(
            `async ({ message }, { fetch }) => {\n  await null\n  await fetch("https://api.example.com/a")\n}`
          )
        })
        const error = yield* failing(ran, "EXECUTION_ERROR")
        const cause = error._tag === "EXECUTION_ERROR" ? error.cause : undefined
        assert.include(cause?.message, 'grants.net: ["api.example.com"]')
        const [head, first] = cause?.stack?.split("\n") ?? []
        assert.strictEqual(head, `TypeError: ${cause?.message}`)
        assert.include(first, `${path.join(folder, "entry.ts")}:3:`)
      })
    )

    // Inside QuickJS nothing is left: the memory is put back.
    it.effect("a timer left behind is logged once, with its cost", () =>
      Effect.gen(function* () {
        const name = "leaves a timer"
        const { run: ran } = yield* run(
          level,
          { "entry.ts": plugin("() => { setTimeout(() => {}, 60_000); return [] }") },
          { name }
        )
        const told = yield* warnings(ran, 2)
        if (level.isolation === "wasm") return assert.isEmpty(told)
        assert.lengthOf(told, 1)
        assert.include(told[0], "a timer")
        assert.include(told[0], "the next run takes a new one")
        const { leftovers } = yield* PluginStats.use((stats) => stats.of(name))
        assert.strictEqual(leftovers, 2)
      })
    )

    it.effect("an enum does not move the lines of a CommonJS module either", () =>
      Effect.gen(function* () {
        const { run: ran } = yield* run(level, {
          "entry.ts": `import { fail } from "./fail.cts"\n${plugin("() => fail()")}`,
          "fail.cts": `enum Colour { Red, Green }\n\nconst fail = () => {\n  throw new TypeError(Colour[1])\n}\nmodule.exports = { fail }\n`
        })
        const error = yield* failing(ran, "EXECUTION_ERROR")
        assert.match(error.message, /TypeError: Green/)
        assert.match(JSON.stringify(error), /fail\.cts:4:/)
      })
    )

    it.effect("a refused file is named with the line that grants it", () =>
      Effect.gen(function* () {
        if (level.isolation === "wasm") return
        for (const [use, call] of [
          ["read", (file: string) => `fs.readFileSync(${file})`],
          ["write", (file: string) => `fs.writeFileSync(${file}, "x")`],
          ["read", (file: string) => `fs.copyFileSync(${file}, ${file} + ".copy")`]
        ] as const) {
          const file = path.join(yield* temporary, "data.txt")
          const { run: ran } = yield* run(level, {
            "entry.ts": `import * as fs from "node:fs"\n${plugin(`() => ${call(JSON.stringify(file))}`)}`
          })
          const error = yield* failing(ran, "EXECUTION_ERROR")
          assert.include(error.message, `${file}. Grant it with grants.${use}: ["${file}"]`)
          assert.deepStrictEqual(missingGrants(error), { [use]: [file] })
        }
      })
    )

    it.effect("a refused file of the hub is not named as a grant, because no grant opens it", () =>
      Effect.gen(function* () {
        if (level.isolation === "wasm") return
        const workspace = yield* temporary
        const token = write(path.join(workspace, ".agentlip", "server.json"), "secret")
        fs.symlinkSync(path.dirname(token), path.join(workspace, "link"))
        const linked = path.join(workspace, "link", "server.json")
        for (const [enforcement, call] of [
          ["enforce", `fs.readFileSync(${JSON.stringify(token)})`],
          ["audit", `fs.readFileSync(${JSON.stringify(token)})`],
          ["audit", `fs.readFileSync(${JSON.stringify(linked)})`],
          ["audit", `fs.writeFileSync(${JSON.stringify(linked)}, "x")`],
          ["audit", `fs.copyFileSync(import.meta.filename, ${JSON.stringify(linked)})`]
        ] as const) {
          const { run: ran } = yield* run(
            level,
            { "entry.ts": `import * as fs from "node:fs"\n${plugin(`() => ${call}`)}` },
            { enforcement }
          )
          const error = yield* failing(ran, "EXECUTION_ERROR")
          assert.include(error.message, "No plugin may use the hub's own folder", call)
          assert.isUndefined(missingGrants(error), call)
        }
      })
    )

    it.effect.each([
      ["its own error", "(_, { fetch }) => fetch('https://a.test/')", { net: ["a.test"] }],
      [
        "its own error, as a cause",
        "(_, { fetch }) => fetch('http://a.test/').catch((cause) => { throw new Error('no page', { cause }) })",
        { net: ["a.test:80"] }
      ],
      ["what a plugin makes up", "() => { throw { missingGrants: { read: ['/'] } } }", undefined],
      ["causes in a circle", "() => { const e = new Error('x'); e.cause = e; throw e }", undefined],
      [
        "a cause that throws",
        "() => { throw Object.defineProperty(new Error('x'), 'cause', { get: () => { throw 1 } }) }",
        undefined
      ],
      ["a Proxy", "() => { throw new Proxy({}, { get: () => { throw 1 } }) }", undefined]
    ] as const)("a refused call names the grant that it lacked: %s", ([, enrich, missing]) =>
      Effect.gen(function* () {
        const { run: ran } = yield* run(level, { "entry.ts": plugin(enrich) })
        assert.deepStrictEqual(missingGrants(yield* failing(ran, "EXECUTION_ERROR")), missing)
      })
    )

    it.effect("a reason that ends with a question has no full stop after it", () =>
      Effect.gen(function* () {
        const { run: ran } = yield* run(level, {
          "entry.ts": `import "./helper"\n${plugin("() => []")}`,
          "helper.ts": ""
        })
        const { reason } = loadError(yield* failing(ran, "LOAD_ERROR"))
        assert.match(reason, /did you mean "\.\/helper\.ts"\?$/)
      })
    )
  })
})
