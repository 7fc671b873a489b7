/** What every isolation level owes its callers: one suite, run on each. */
import { assert, it, layer } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Logger, References, Result, Schedule, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { IsolationLevel } from "../../src/Capabilities.ts"
import { CircuitBreaker } from "../../src/CircuitBreaker.ts"
import type { PluginSpecOptions } from "../../src/Plugin.ts"
import { extractor, linkifier, makeKind, MessageInput } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { WorkerLayer } from "../../src/WorkerLayer.ts"
import { dataOf, failing, temporary, write } from "./plugins.ts"
import { layerRuntime, type Level, levels, message, specOn } from "./isolation.ts"

const good = (file: string): string => fileURLToPath(new URL(`../fixtures/good/${file}`, import.meta.url))
const rogue = (file: string): string => fileURLToPath(new URL(`../fixtures/rogues/${file}`, import.meta.url))

const asking = (content_raw: string) => ({ message: { ...message, content_raw } })

/** Threads of guests alone: Node starts and ends threads of its own as it sees fit. */
const guestThreads = (): number => {
  if (!fs.existsSync("/proc/self/task")) return 0
  return fs.readdirSync("/proc/self/task").filter((task) => {
    try {
      return fs.readFileSync(`/proc/self/task/${task}/comm`, "utf8").trim() === "agentlip-guest"
    } catch {
      // It ended after it was listed.
      return false
    }
  }).length
}

interface Line {
  readonly level: string
  readonly text: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Runs an effect and says what was logged meanwhile. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<Line> = []
    const logger = Logger.make<unknown, void>(({ logLevel, message, fiber }) => {
      lines.push({
        level: logLevel,
        text: Array.isArray(message) ? message.join(" ") : String(message),
        annotations: fiber.getRef(References.CurrentLogAnnotations)
      })
    })
    return effect.pipe(
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(References.MinimumLogLevel, "All"),
      Effect.map((value) => ({ value, lines }))
    )
  })

type Live = (
  name: string,
  test: () => Effect.Effect<unknown, unknown, PluginRuntime | WorkerLayer | CircuitBreaker>
) => void

const contract = (level: Level): void => {
  /** A level without Node: no built-ins, no files, and no state from one run to the next. */
  const bare = level.isolation === "wasm"
  const spec = (file: string, options: Partial<PluginSpecOptions<typeof linkifier>> = {}) =>
    specOn(level, { name: file, kind: linkifier, modulePath: good(file), ...options })
  const run = (
    file: string,
    ask = message.content_raw,
    options: Partial<PluginSpecOptions<typeof linkifier>> = {}
  ) => Effect.flatMap(PluginRuntime, (runtime) => runtime.run(spec(file, options), asking(ask)))
  /** Tests that share a runtime, and the isolates of the plugins that more than one of them runs. */
  const block = (name: string, tests: (live: Live) => void) =>
    layer(layerRuntime(), { excludeTestServices: true })(`on ${level.name}: ${name}`, ({ effect }) =>
      tests(effect)
    )

  block("answers", (live) => {
    live("the input reaches the plugin whole, and its output the caller", () =>
      Effect.gen(function* () {
        const text = `${'日本 🙂 \u0001\u2028\ufffd "\\'.repeat(6_000)}end`
        const [echo] = yield* run("echo.ts", text, { config: { deep: [{ a: null }], text } })
        assert.isAbove(text.length, 64 * 1024)
        assert.deepStrictEqual(echo, {
          kind: "echo",
          span: { start: 0, end: text.length },
          data: { ...asking(text), config: { deep: [{ a: null }], text } }
        })
      })
    )

    live("an extractor's", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const topics = specOn(level, { name: "topics", kind: extractor, modulePath: good("topics.ts") })
        const [attachment] = yield* runtime.run(topics, { message })
        assert.deepStrictEqual(attachment?.value_json, { length: message.content_raw.length })
      })
    )

    live("a hub's own kind's, checked by its own schema", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const scorer = makeKind({
          name: "scorer",
          method: "score",
          input: MessageInput,
          output: Schema.Record(Schema.String, Schema.Number)
        })
        const score = specOn(level, { name: "score", kind: scorer, modulePath: good("score.ts") })
        assert.deepStrictEqual(yield* runtime.run(score, asking('{"a":1}')), { a: 1 })
        for (const key of ["a", "a]b", "]", '"', "[0]", "\n\t at [x]", "__proto", "constructor"]) {
          const error = yield* failing(
            runtime.run(score, asking(JSON.stringify({ [key]: "no" }))),
            "INVALID_OUTPUT"
          )
          assert.match(error.message, /number/i)
        }
      })
    )

    for (const [file, data] of [
      ["typescript.ts", { colour: "green", sides: 4, sum: 3 }],
      ["json.ts", { word: "from a file", waited: true }],
      ["common.cjs", { word: "from a file", part: "of a package" }],
      ["named.ts", {}]
    ] as const) {
      live(`of ${file}`, () =>
        Effect.map(run(file), (output) => assert.deepStrictEqual(dataOf(output), data))
      )
    }

    if (bare) {
      for (const [file, code, missing] of [
        ["typed.ts", "LOAD_ERROR", "node:crypto"],
        ["built-ins.cjs", "LOAD_ERROR", "node:path"],
        ["wasm.mjs", "EXECUTION_ERROR", "WebAssembly"]
      ] as const) {
        live(`of ${file} is ${code} that names ${missing}, and who has it`, () =>
          Effect.map(failing(run(file), code), ({ message }) => {
            assert.include(message, missing)
            assert.include(message, '"process"')
          })
        )
      }
    } else {
      live("of a plugin with the authors' entry and built-ins", () =>
        Effect.map(run("typed.ts"), (output) => {
          const { hash, text, url } = dataOf(output)
          assert.match(String(hash), /^[0-9a-f]{64}$/)
          assert.deepStrictEqual([text, url], ["a-1", "/b"])
        })
      )

      live("of built-ins.cjs", () =>
        Effect.map(run("built-ins.cjs"), (output) => assert.deepStrictEqual(dataOf(output), { base: "b" }))
      )

      live("of wasm.mjs", () =>
        Effect.map(run("wasm.mjs"), (output) => assert.deepStrictEqual(dataOf(output), { sum: 42 }))
      )
    }

    live("of an async generator", () =>
      Effect.map(run("generator.ts", "one two"), (output) =>
        assert.deepStrictEqual(
          output.map(({ span }) => span),
          [
            { start: 0, end: 3 },
            { start: 4, end: 7 }
          ]
        )
      )
    )

    live("of a plugin with a dependency in node_modules, in either form", () =>
      Effect.gen(function* () {
        const folder = yield* temporary
        const packages = path.join(folder, "node_modules")
        write(path.join(packages, "esm", "package.json"), '{"type":"module","exports":{".":"./a/main.js"}}')
        write(
          path.join(packages, "esm", "a", "main.js"),
          'export { value } from "../b.js"\nexport * as cjs from "cjs"'
        )
        write(path.join(packages, "esm", "b.js"), "export const value = 1")
        write(path.join(packages, "cjs", "package.json"), '{"main":"main.js"}')
        write(path.join(packages, "cjs", "main.js"), 'exports.value = require("./part").value')
        write(path.join(packages, "cjs", "part.js"), "exports.value = 2")
        const plugin = write(
          path.join(folder, "plugin.mjs"),
          'import { cjs, value } from "esm"\nexport default { enrich: () => [{ kind: "x", span: { start: 0, end: 1 }, data: { sum: value + cjs.value } }] }'
        )
        const output = yield* run("dependent", "x", { modulePath: plugin })
        assert.deepStrictEqual(dataOf(output), { sum: 3 })
      }).pipe(Effect.scoped)
    )

    live("load says who the plugin is, without a run", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        assert.deepStrictEqual(yield* runtime.load(spec("echo.ts")), {
          name: "echo",
          version: "1.2.3",
          methods: ["enrich"]
        })
        const error = yield* failing(runtime.load(spec("missing.ts")), "LOAD_ERROR")
        assert.match(error.message, /missing\.ts/)
      })
    )
  })

  block("config", (live) => {
    live("goes through the plugin's configSchema", () =>
      Effect.map(run("config.ts", "x", { config: { port: "80", a: 1 } }), (output) =>
        assert.deepStrictEqual(dataOf(output), { host: "localhost", port: 80, a: 1 })
      )
    )
    live("refused is LOAD_ERROR, with the place", () =>
      Effect.map(
        failing(run("config.ts", "x", { config: { port: "eighty" } }), "LOAD_ERROR"),
        ({ message }) => assert.match(message, /config\.port: expected a whole number/)
      )
    )
  })

  block("errors", (live) => {
    for (const [order, code, says] of [
      ["spin", "TIMEOUT", /did not answer after 300 ms/],
      ["sleep 10000", "TIMEOUT", /did not answer after 300 ms/],
      ["exit 3", "WORKER_CRASH", /exit code 3/],
      ["throw", "EXECUTION_ERROR", /TypeError: as told/],
      ["lie", "INVALID_OUTPUT", /\[0\]/],
      ["nothing", "INVALID_OUTPUT", /undefined/]
    ] as const) {
      live(`${order} is ${code}, and the next run is none the worse`, () =>
        Effect.gen(function* () {
          const hangs = code === "TIMEOUT"
          const error = yield* failing(run("obedient.ts", order, hangs ? { timeout: 300 } : {}), code).pipe(
            // On a busy machine it may not even be loaded in that time; not each time.
            Effect.repeat({ until: ({ message }) => !message.includes("still loading"), times: 5 })
          )
          assert.match(error.message, says)
          assert.strictEqual(error.plugin, "obedient.ts")
          const [answer] = yield* run("obedient.ts", "answer")
          assert.strictEqual(answer?.kind, "answer")
        })
      )
    }

    live("EXECUTION_ERROR has the plugin's own stack", () =>
      Effect.map(failing(run("obedient.ts", "throw"), "EXECUTION_ERROR"), (error) => {
        assert.match(error._tag === "EXECUTION_ERROR" ? (error.cause.stack ?? "") : "", /obedient\.ts:\d+/)
      })
    )

    for (const [what, text, says] of [
      ["a syntax error", "export default {", /SyntaxError/],
      ["TypeScript that does not parse", "export default { enrich(: number) {} }", /plugin\.ts:1/],
      ["a throw", 'throw new Error("at import")', /at import/],
      ["no default export", "export const a = 1", /no default export/],
      ["the wrong method", "export default { extract() {} }", /enrich/],
      ["a missing import", 'import "./missing.ts"\nexport default {}', /missing\.ts/],
      ["a built-in it may not have", 'import "node:net"\nexport default {}', /net/]
    ] as const) {
      live(`${what} is LOAD_ERROR, and a mended file is loaded`, () =>
        Effect.gen(function* () {
          const file = write(path.join(yield* temporary, "plugin.ts"), text)
          const error = yield* failing(run("broken", "x", { modulePath: file }), "LOAD_ERROR")
          assert.match(error.message, says)
          fs.copyFileSync(good("named.ts"), file)
          assert.isNotEmpty(yield* run("broken", "x", { modulePath: file }))
        }).pipe(Effect.scoped)
      )
    }

    live("three in a row open the circuit, which executes nothing", () =>
      Effect.gen(function* () {
        const options = { name: "failing", breaker: { failureThreshold: 3, cooldown: Duration.hours(1) } }
        for (const order of ["throw", "lie", "exit 0"]) yield* Effect.flip(run("obedient.ts", order, options))
        const error = yield* failing(run("obedient.ts", "answer", options), "CIRCUIT_OPEN")
        assert.match(error.message, /3 failures/)
        assert.isNotEmpty(yield* run("echo.ts"))
      })
    )

    for (const [options, says] of [
      [{ grants: { net: ["ftp://example.com"] } }, /grants\.net/],
      [{ grants: { env: ["NOT A NAME"] } }, /grants\.env/],
      [{ grants: { read: ["/no/such/folder"] } }, /no\/such\/folder/],
      [{ isolation: "wasm", grants: { read: ["."] } }, /"wasm"/]
    ] as const) {
      live(`${JSON.stringify(options)} is LOAD_ERROR`, () =>
        Effect.map(failing(run("echo.ts", "x", options), "LOAD_ERROR"), ({ message }) =>
          assert.match(message, says)
        )
      )
    }
  })

  block("time", (live) => {
    live("the deadline is counted from the run's start, not while it waits for another", () =>
      Effect.gen(function* () {
        // Three runs of 400 ms one after the other, each with a second.
        const outputs = yield* Effect.all(
          [1, 2, 3].map(() => run("obedient.ts", "sleep 400", { timeout: 1_000 })),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(outputs.length, 3)
      })
    )

    live("what a timed-out run would have answered reaches nobody", () =>
      Effect.gen(function* () {
        yield* failing(run("obedient.ts", "sleep 400", { timeout: 200 }), "TIMEOUT")
        const next = yield* run("obedient.ts", "sleep 300", { timeout: 5_000 })
        assert.strictEqual(dataOf(next)["runs"], 1)
      })
    )

    live("interruption ends the isolate at once, and is no failure of the plugin", () =>
      Effect.gen(function* () {
        const workers = yield* WorkerLayer
        const breaker = yield* CircuitBreaker
        const options = { name: "interrupted", timeout: 60_000 }
        yield* run("obedient.ts", "answer", options)
        const started = yield* Deferred.make<void>()
        const logger = Logger.make<unknown, void>(() => Deferred.doneUnsafe(started, Effect.void))
        const spinning = yield* Effect.forkChild(
          run("obedient.ts", "spin", options).pipe(Effect.provide(Logger.layer([logger])))
        )
        yield* Deferred.await(started)
        const [elapsed] = yield* Effect.timed(Fiber.interrupt(spinning))
        assert.isBelow(Duration.toMillis(elapsed), 5_000)
        assert.strictEqual((yield* workers.stats).zombies, 0)
        assert.deepStrictEqual(yield* breaker.state(options.name), yield* breaker.state("never-used"))
        assert.strictEqual(dataOf(yield* run("obedient.ts", "answer", options))["runs"], 1)
      })
    )

    live("a run that is told to stop has its grace", () =>
      Effect.gen(function* () {
        const { lines } = yield* logged(
          failing(run("obedient.ts", "abort", { timeout: 700, grace: 5_000 }), "TIMEOUT")
        )
        assert.include(
          lines.map(({ text }) => text),
          "told to stop"
        )
      })
    )
  })

  block("side by side", (live) => {
    live("runAll: one's failure is its own", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const specs = ["echo.ts", "counter.ts", "named.ts"].map((file) => spec(file))
        const bad = spec("crash", { modulePath: rogue("crash-exit-next-tick.ts") })
        const hung = spec("hang", { modulePath: rogue("liveness-sync-loop.ts"), timeout: 200 })
        const results = yield* runtime.runAll([bad, ...specs, hung], { message })
        assert.deepStrictEqual(
          results.map(({ spec, result }) => [
            spec.name,
            Result.isSuccess(result) ? "OK" : result.failure._tag
          ]),
          [
            ["crash", "WORKER_CRASH"],
            ["echo.ts", "OK"],
            ["counter.ts", "OK"],
            ["named.ts", "OK"],
            ["hang", "TIMEOUT"]
          ]
        )
      })
    )

    live("a plugin's concurrency bounds its runs", () =>
      Effect.gen(function* () {
        /** Whether the second of two runs has begun before the first had ended. */
        const overlap = (options: object) =>
          Effect.all(
            [1, 2].map(() => Effect.map(run("obedient.ts", "sleep 200", options), dataOf)),
            { concurrency: "unbounded" }
          ).pipe(
            Effect.map((runs) => runs.sort((a, b) => Number(a["from"]) - Number(b["from"]))),
            Effect.map(([first, second]) => Number(second?.["from"]) < Number(first?.["until"]))
          )
        assert.isFalse(yield* overlap({ concurrency: 1 }))
        // On a busy machine one of two may boot so late that it sleeps alone; not each time.
        const both = overlap({ name: "wide", concurrency: 2 })
        assert.isTrue(yield* Effect.repeat(both, { until: (overlapped) => overlapped, times: 5 }))
      })
    )
  })

  block("isolates", (live) => {
    const reused = level.reuse === "plugin"

    live(reused ? "a warm isolate is used again" : "each run has an isolate of its own", () =>
      Effect.gen(function* () {
        const seen = []
        for (let n = 0; n < 3; n++) seen.push(dataOf(yield* run("counter.ts", "x", { name: "warm" })))
        assert.deepStrictEqual(
          seen.map(({ runs }) => runs),
          reused && !bare ? [1, 2, 3] : [1, 1, 1]
        )
        // Drawn as the module loads: where each run starts from the load, that one.
        assert.strictEqual(new Set(seen.map(({ isolate }) => isolate)).size, reused ? 1 : 3)
      })
    )

    for (const order of ["spin", "exit 0", "leave", "late"]) {
      live(`after "${order}" the next run has a fresh one`, () =>
        Effect.gen(function* () {
          yield* run("obedient.ts", "answer")
          yield* Effect.exit(run("obedient.ts", order, order === "spin" ? { timeout: 300 } : {}))
          // Long enough for a late error to have come, short enough to be no other reason.
          yield* Effect.sleep(100)
          assert.strictEqual(dataOf(yield* run("obedient.ts", "answer"))["runs"], 1)
        })
      )
    }

    live("are never shared between plugins or configs", () =>
      Effect.gen(function* () {
        const of = (name: string, config: object) =>
          Effect.map(run("counter.ts", "x", { name, config: { ...config } }), dataOf)
        const seen = [yield* of("a", {}), yield* of("b", {}), yield* of("a", { other: 1 })]
        assert.strictEqual(new Set(seen.map(({ isolate }) => isolate)).size, 3)
      })
    )

    it.live("are gone when the scope closes, busy or not", () =>
      Effect.gen(function* () {
        yield* Effect.gen(function* () {
          yield* run("echo.ts")
          yield* Effect.forkChild(run("obedient.ts", "spin", { timeout: 60_000 }))
          yield* Effect.sleep(100)
          if (level.isolation !== "process" && process.platform === "linux") assert.isAbove(guestThreads(), 0)
        }).pipe(Effect.provide(layerRuntime()))
        // The kernel lists a thread for a moment after Node has said that it ended.
        yield* Effect.sync(guestThreads).pipe(
          Effect.repeat({ until: (alive) => alive === 0, schedule: Schedule.spaced("10 millis") }),
          Effect.timeoutOrElse({
            duration: "5 seconds",
            orElse: () => Effect.sync(() => assert.strictEqual(guestThreads(), 0))
          })
        )
      })
    )
  })

  block("logs", (live) => {
    live("are Effect logs with plugin and run", () =>
      Effect.gen(function* () {
        const { lines } = yield* logged(run("logs.ts"))
        const ours = lines.filter(({ annotations }) => annotations["plugin"] === "logs.ts")
        assert.deepStrictEqual(
          ours.map(({ level, text }) => `${level} ${text}`),
          [
            "Debug debug line",
            "Info log line { a: 1 }",
            "Info info line",
            "Warn warn line",
            "Error error line",
            "Info stdout line",
            "Error stderr line",
            "Info two⏎lines"
          ]
        )
        assert.match(String(ours[0]?.annotations["run"]), /^logs\.ts#\d+$/)
      })
    )

    live("are capped per run, and say by how much", () =>
      Effect.gen(function* () {
        const limits = { logLines: 10 }
        for (let n = 0; n < 2; n++) {
          const { lines } = yield* logged(run("obedient.ts", "log 100", { limits }))
          const texts = lines.map(({ text }) => text)
          assert.strictEqual(texts.filter((text) => text.startsWith("line")).length, 10)
          assert.match(texts.at(-1) ?? "", /^90 .*dropped/)
        }
      })
    )
  })

  block("grants", (live) => {
    if (bare) {
      live("of files are LOAD_ERROR, which names the levels that have some", () =>
        Effect.map(
          failing(run("echo.ts", "x", { grants: { read: ["."], write: ["."] } }), "LOAD_ERROR"),
          ({ message }) => assert.match(message, /grants\.read.*"thread" or "process".*grants\.write/s)
        )
      )
    } else {
      live("a read grant opens its folder and nothing beside it", () =>
        Effect.gen(function* () {
          const folder = yield* temporary
          const inside = write(path.join(folder, "data", "a.txt"), "content")
          const outside = write(path.join(folder, "secret.txt"), "secret")
          const similar = write(path.join(folder, "data-private", "a.txt"), "secret")
          const grants = { read: [path.join(folder, "data")] }
          assert.deepStrictEqual(dataOf(yield* run("files.ts", `read ${inside}`, { grants })), {
            text: "content"
          })
          assert.deepStrictEqual(dataOf(yield* run("files.ts", `read ${path.dirname(inside)}`, { grants })), {
            text: "a.txt"
          })
          for (const ask of [`read ${outside}`, `read ${similar}`, `read ${folder}`, `write ${inside}`]) {
            yield* failing(run("files.ts", ask, { grants }), "EXECUTION_ERROR")
          }
          yield* failing(run("files.ts", `read ${inside}`), "EXECUTION_ERROR")
          assert.strictEqual(fs.readFileSync(inside, "utf8"), "content")
        }).pipe(Effect.scoped)
      )

      live("a write grant lets write, and does not let read", () =>
        Effect.gen(function* () {
          const folder = yield* temporary
          const file = path.join(folder, "out.txt")
          const grants = { write: [folder] }
          yield* run("files.ts", `write ${file}`, { grants })
          assert.strictEqual(fs.readFileSync(file, "utf8"), "written")
          yield* failing(run("files.ts", `read ${file}`, { grants }), "EXECUTION_ERROR")
        }).pipe(Effect.scoped)
      )
    }

    live("none covers .agentlip, by whatever name", () =>
      Effect.gen(function* () {
        const workspace = yield* temporary
        write(path.join(workspace, ".agentlip", "server.json"), "{}")
        fs.symlinkSync(path.join(workspace, ".agentlip"), path.join(workspace, "innocent"))
        for (const name of ["", ".agentlip", ".agentlip/server.json", "innocent", "innocent/server.json"]) {
          for (const grant of ["read", "write"] as const) {
            const grants = { [grant]: [path.join(workspace, name)] }
            const error = yield* failing(run("files.ts", "read x", { grants }), "LOAD_ERROR")
            assert.match(error.message, /\.agentlip/)
          }
        }
      }).pipe(Effect.scoped)
    )

    live("a plugin beside .agentlip loads its own files, and not the hub's", () =>
      Effect.gen(function* () {
        const workspace = yield* temporary
        write(path.join(workspace, ".agentlip", "server.json"), '{"auth_token":"secret"}')
        const plugin = path.join(workspace, "json.ts")
        fs.copyFileSync(good("json.ts"), plugin)
        fs.copyFileSync(good("data.json"), path.join(workspace, "data.json"))
        assert.strictEqual(dataOf(yield* run("beside", "x", { modulePath: plugin }))["word"], "from a file")
        const thief = write(
          path.join(workspace, "thief.mjs"),
          'import secret from "./.agentlip/server.json" with { type: "json" }\nexport default { enrich: () => [secret] }'
        )
        const error = yield* failing(run("thief", "x", { modulePath: thief }), "LOAD_ERROR")
        assert.notInclude(error.message, "secret")
      }).pipe(Effect.scoped)
    )
  })
}

/** The whole suite on the modes of one level. */
export const contractOn = (isolation: IsolationLevel): void => {
  for (const level of levels) if (level.isolation === isolation) contract(level)
}
