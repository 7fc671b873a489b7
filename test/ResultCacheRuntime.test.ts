/** Plugins with `cache: true`, through the runtime and in isolates. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { CircuitBreaker } from "../src/CircuitBreaker.ts"
import { makeSpec } from "../src/Plugin.ts"
import { extractor } from "../src/PluginKinds.ts"
import { ResultCache } from "../src/ResultCache.ts"
import { CurrentRunObserver, type ObservedRun } from "../src/RunObserver.ts"
import { PluginStats } from "../src/Metrics.ts"
import { PluginRuntime } from "../src/Runtime.ts"
import { layerRuntime, message } from "./support/isolation.ts"

const source = (version: number): string => `
let runs = 0
export default {
  extract: ({ message }) => {
    if (message.content_raw === "throw") throw new Error("no")
    return [{ kind: "run", value_json: { version: ${version}, run: ++runs, sees: Object.keys(message) } }]
  }
}`

const plugin = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "cached-plugin-")))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  ),
  (folder) => {
    const modulePath = path.join(folder, "plugin.mjs")
    fs.writeFileSync(modulePath, source(1))
    return modulePath
  }
)

/** A cache that the test can look into, and change. */
const open = () => {
  const texts = new Map<string, string>()
  const layer = Layer.succeed(ResultCache, {
    get: (key) => Effect.sync(() => texts.get(key)),
    set: (key, _, text) => Effect.sync(() => void texts.set(key, text)),
    stats: Effect.sync(() => ({ entries: texts.size, bytes: 0 }))
  })
  return { texts, runtime: layerRuntime(1).pipe(Layer.provide(layer)) }
}

const specOf = (modulePath: string) => makeSpec({ name: "p", kind: extractor, modulePath, cache: true })
const ask = (spec: ReturnType<typeof specOf>, content_raw: string, id = "m") =>
  PluginRuntime.use((runtime) => runtime.run(spec, { message: { ...message, id, content_raw } })).pipe(
    Effect.map(([first]) => first?.value_json)
  )
const first = { version: 1, run: 1, sees: ["content_raw"] }

describe("ResultCache: runtime", () => {
  it.live("the same text in another message is not run again, and the plugin sees nothing but the text", () =>
    Effect.gen(function* () {
      const spec = specOf(yield* plugin)
      const { texts, runtime } = open()
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* ask(spec, "a", "1"), first)
        assert.deepStrictEqual(yield* ask(spec, "a", "2"), first)
        assert.deepStrictEqual(yield* ask(spec, "b", "3"), { ...first, run: 2 })
      }).pipe(Effect.provide(runtime))
      assert.strictEqual(texts.size, 2)
    })
  )

  it.live("outlives the runtime where its store does", () =>
    Effect.gen(function* () {
      const spec = specOf(yield* plugin)
      const { texts, runtime } = open()
      yield* ask(spec, "a").pipe(Effect.andThen(ask(spec, "b")), Effect.provide(runtime))
      assert.deepStrictEqual(yield* Effect.provide(ask(spec, "b"), runtime), { ...first, run: 2 })
      assert.strictEqual(texts.size, 2)
    })
  )

  it.live("what load has loaded serves the runs after it", () =>
    Effect.gen(function* () {
      const spec = specOf(yield* plugin)
      yield* Effect.gen(function* () {
        yield* PluginRuntime.use((runtime) => runtime.load(spec))
        assert.deepStrictEqual(yield* ask(spec, "a"), first)
        const { loadMillis } = yield* PluginStats.use((stats) => stats.of("p"))
        assert.strictEqual(loadMillis.count, 1)
      }).pipe(Effect.provide(open().runtime))
    })
  )

  it.live("a hit is given while the circuit is open; a miss is refused", () =>
    Effect.gen(function* () {
      const spec = specOf(yield* plugin)
      const { runtime } = open()
      yield* Effect.gen(function* () {
        yield* ask(spec, "a")
        assert.strictEqual((yield* Effect.flip(ask(spec, "throw")))._tag, "EXECUTION_ERROR")
        assert.strictEqual((yield* Effect.flip(ask(spec, "b")))._tag, "CIRCUIT_OPEN")
        assert.deepStrictEqual(yield* ask(spec, "a"), first)
        const state = yield* CircuitBreaker.use((breaker) => breaker.state("p"))
        assert.strictEqual(state._tag, "Open")
      }).pipe(Effect.provide(runtime))
    })
  )

  it.live("a cached output tells its observer the version that made it, and no times", () =>
    Effect.gen(function* () {
      const spec = specOf(yield* plugin)
      const observed: Array<ObservedRun> = []
      const observer = { log: () => {}, ended: (run: ObservedRun) => void observed.push(run) }
      yield* ask(spec, "a").pipe(
        Effect.replicateEffect(2),
        Effect.provideService(CurrentRunObserver, observer),
        Effect.provide(open().runtime)
      )
      const [ran, cached] = observed
      assert.lengthOf(observed, 2)
      assert.isString(ran?.version)
      assert.deepStrictEqual(cached, { version: ran?.version, queued: undefined, ran: undefined })
    })
  )

  it.live("a row that does not decode is run again and replaced", () =>
    Effect.gen(function* () {
      const spec = specOf(yield* plugin)
      const { texts, runtime } = open()
      yield* Effect.gen(function* () {
        for (const bad of ["", "[]", "1\n[]", '"1\n[]', '"1"\n[{}]', '"1"\n[{"kind":"","value_json":{}}]']) {
          yield* ask(spec, "a")
          for (const key of texts.keys()) texts.set(key, bad)
          assert.deepStrictEqual((yield* ask(spec, "a"))?.["version"], 1)
          assert(![...texts.values()].includes(bad))
        }
      }).pipe(Effect.provide(runtime))
    })
  )

  it.live("changed files are new answers, and no old answer is kept under the new hash", () =>
    Effect.gen(function* () {
      const modulePath = yield* plugin
      const spec = specOf(modulePath)
      const { texts, runtime } = open()
      yield* Effect.gen(function* () {
        yield* ask(spec, "a")
        fs.writeFileSync(modulePath, source(2))
        yield* Effect.repeat(Effect.option(ask(spec, "a")), {
          until: (answer) => answer._tag === "Some" && answer.value?.["version"] === 2
        }).pipe(Effect.timeout("10 seconds"))
        assert.strictEqual(texts.size, 2)
        assert.deepStrictEqual((yield* ask(spec, "a"))?.["version"], 2)
      }).pipe(Effect.provide(runtime))
    })
  )
})
