/** Two equal specs that were made apart are one plugin: they share what the plugin has. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Result } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { PluginStats } from "../../src/Metrics.ts"
import { makeSpec, type PluginSpecOptions } from "../../src/Plugin.ts"
import { extractor } from "../../src/PluginKinds.ts"
import { ResultCache } from "../../src/ResultCache.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { WorkerLayer } from "../../src/WorkerLayer.ts"
import { layerRuntime, message } from "../support/isolation.ts"
import { serve } from "../support/net.ts"

const source = `
let runs = 0
export default {
  name: "p",
  version: "1.0.0",
  extract: async ({ message }, { fetch, log }) => {
    if (message.content_raw === "throw") throw new Error("no")
    if (message.content_raw.startsWith("http:")) {
      log.info("asks")
      await (await fetch(message.content_raw)).text()
    }
    return [{ kind: "run", value_json: { run: ++runs } }]
  }
}`

const plugin = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "equal-specs-")))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  ),
  (folder) => {
    const modulePath = path.join(folder, "plugin.mjs")
    fs.writeFileSync(modulePath, source)
    return modulePath
  }
)

type Options = Partial<PluginSpecOptions<typeof extractor>>

const specOf = (modulePath: string, options: Options = {}) =>
  makeSpec({ name: "p", kind: extractor, modulePath, ...options })

const ask = (spec: ReturnType<typeof specOf>, content_raw: string) =>
  PluginRuntime.use((runtime) => runtime.run(spec, { message: { ...message, content_raw } })).pipe(
    Effect.map(([first]) => first?.value_json["run"])
  )

const isolates = WorkerLayer.use(({ stats }) => Effect.map(stats, ({ isolates }) => isolates))

const levels = ["thread", "process", "wasm"] as const

/** The most requests that a server has at once of two runs that both want one. */
const mostAtOnce = Effect.fnUntraced(function* (first: Options, second: Options) {
  const modulePath = yield* plugin
  let asking = 0
  let open = 0
  let most = 0
  const server = yield* serve((_, response) => {
    most = Math.max(most, ++open)
    let waits = 20
    // Both want one, and the other one would have come.
    const timer = setInterval(() => {
      if (asking < 2 || (most < 2 && waits-- > 0)) return
      clearInterval(timer)
      open--
      response.end("ok")
    }, 10)
  })
  const asks = Logger.layer([Logger.make(({ message }) => void (String(message) === "asks" && asking++))])
  const shared = {
    grants: { net: [`127.0.0.1:${server.port}`] },
    limits: { fetchConcurrency: 1 },
    concurrency: 2,
    timeout: "30 seconds"
  } as const
  yield* Effect.all(
    [first, second].map((options) => ask(specOf(modulePath, { ...shared, ...options }), server.origin)),
    { concurrency: 2 }
  ).pipe(Effect.provide(asks))
  return most
})

describe("EqualSpecs", () => {
  it.live.each(levels)("share their isolates: %s", (isolation) =>
    Effect.gen(function* () {
      const modulePath = yield* plugin
      const options = {
        isolation,
        grants: { net: ["example.com"], env: ["HOME"] },
        limits: { queue: 9, cpu: 1_000 }
      }
      const reordered = {
        isolation,
        limits: { cpu: 1_000, queue: 9 },
        grants: { env: ["HOME"], net: ["example.com"] }
      }
      const runs = yield* Effect.forEach(
        [options, options, reordered, { ...options, timeout: 9_000 }],
        (options, n) => ask(specOf(modulePath, options), `text ${n}`)
      )
      // On level wasm each run starts from the same memory, and an isolate has one timeout.
      assert.deepStrictEqual(runs, isolation === "wasm" ? [1, 1, 1, 1] : [1, 2, 3, 4])
      assert.strictEqual(yield* isolates, isolation === "wasm" ? 2 : 1)
    }).pipe(Effect.provide(layerRuntime()))
  )

  it.live("share their breaker", () =>
    Effect.gen(function* () {
      const modulePath = yield* plugin
      yield* Effect.flip(ask(specOf(modulePath), "throw"))
      const second = yield* Effect.result(ask(specOf(modulePath), "text"))
      assert.strictEqual(Result.isFailure(second) ? second.failure._tag : "ran", "CIRCUIT_OPEN")
    }).pipe(Effect.provide(layerRuntime(1)))
  )

  it.live("share outputs and the pinned isolate", () =>
    Effect.gen(function* () {
      const modulePath = yield* plugin
      const asked = Effect.fnUntraced(function* (text: string) {
        return yield* ask(specOf(modulePath, { cache: true }), text)
      })
      assert.deepStrictEqual([yield* asked("a"), yield* asked("a"), yield* asked("b")], [1, 1, 2])
      const { cacheHits, cacheMisses } = yield* PluginStats.use((stats) => stats.of("p"))
      assert.deepStrictEqual([cacheHits, cacheMisses], [1, 2])
      assert.strictEqual(yield* isolates, 1)
    }).pipe(Effect.provide(layerRuntime().pipe(Layer.provide(ResultCache.layerMemory()))))
  )

  it.live.each(levels)("share their fetch permits, which others do not: %s", (isolation) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* mostAtOnce({ isolation }, { isolation }), 1)
      const other = { isolation, config: { other: true } }
      assert.strictEqual(yield* mostAtOnce({ isolation }, other), 2)
    }).pipe(Effect.provide(layerRuntime()))
  )
})
