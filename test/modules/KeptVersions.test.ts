/** If a plugin's files change and fail to load, its previous version keeps running, if the host wants that. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Predicate, Result } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { CircuitBreaker } from "../../src/CircuitBreaker.ts"
import { moduleIntegrity } from "../../src/index.ts"
import type { PluginSpec } from "../../src/Plugin.ts"
import { linkifier } from "../../src/PluginKinds.ts"
import { KeptVersions, Version } from "../../src/modules/KeptVersions.ts"
import { ResultCache } from "../../src/ResultCache.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { WorkerLayer } from "../../src/WorkerLayer.ts"
import { levels, message, specOn } from "../support/isolation.ts"
import { dataOf, failing, temporary, write } from "../support/plugins.ts"

const entry = (version: number, atLoad = "") => `
  import { name } from "./name.mjs"
  ${atLoad}
  export default {
    name: "changing", version: "${version}.0.0",
    enrich({ message }) {
      if (message.content_raw === "die") process.exit(1)
      if (message.content_raw === "hang") for (;;) {}
      return [{ kind: "answer", span: { start: 0, end: 1 }, data: { answer: name + ${version} } }]
    }
  }`
const name = (value: string) => `export const name = "${value}"`

/** What is wrong with a new version, by the error that tells. */
const broken: ReadonlyArray<readonly [what: string, source: string, says: string]> = [
  ["does not parse", `${entry(2)} }`, "LOAD_ERROR"],
  ["throws as it loads", entry(2, `throw new Error("not today")`), "LOAD_ERROR"],
  ["imports what is not there", `${entry(2)}\nimport "./missing.mjs"`, "LOAD_ERROR"],
  ["has lost its method", "export default { name: 'changing', version: '2.0.0' }", "LOAD_ERROR"],
  ["never loads", entry(2, "for (;;) {}"), "TIMEOUT"]
]

const layer = (options: { readonly keepLastGood?: boolean } = { keepLastGood: true }) =>
  PluginRuntime.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        CircuitBreaker.layer({ failureThreshold: 1_000 }),
        WorkerLayer.layer({ spares: 0, prepare: [], ...options })
      )
    )
  )

/** Asks again until the answer is the one that is waited for. */
const until = <A, E, R>(what: string, ask: Effect.Effect<A, E, R>, isIt: (answer: A) => boolean) => {
  let last: A | undefined
  const once = Effect.tap(Effect.delay(ask, 50), (answer) => Effect.sync(() => (last = answer)))
  return Effect.timeoutOrElse(Effect.repeat(once, { until: isIt }), {
    duration: "30 seconds",
    orElse: () =>
      Effect.die(new Error(`waited 30 seconds until ${what}; the last answer: ${JSON.stringify(last)}`))
  })
}

/** A plugin of two files, that has answered once; warnings are kept. */
const scene = (level: (typeof levels)[number], more: Partial<PluginSpec> = {}) =>
  Effect.gen(function* () {
    const folder = yield* temporary
    const modulePath = write(path.join(folder, "changing.mjs"), entry(1))
    write(path.join(folder, "name.mjs"), name("a"))
    const runtime = yield* PluginRuntime
    const { outdated } = yield* WorkerLayer
    const spec = {
      ...specOn(level, { name: "changing", kind: linkifier, modulePath, timeout: "10 seconds" }),
      ...more
    }
    const warnings: Array<string> = []
    const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
      if (logLevel === "Warn") warnings.push(Array.isArray(message) ? message.join(" ") : String(message))
    })
    const ask = (content_raw = "answer") =>
      runtime.run(spec, { message: { ...message, content_raw } }).pipe(Effect.provide(Logger.layer([logger])))
    const answer = Effect.map(ask(), (output) => dataOf(output)["answer"])
    /** Warm isolates look at their files once a second. */
    const becomes = (expected: string) =>
      until(`the answer is ${expected}`, answer, (found) => found === expected)
    const isOutdated = Effect.map(outdated, (all) => all.get("changing")?._tag)
    return { folder, modulePath, spec, runtime, warnings, ask, answer, becomes, isOutdated }
  })

/** Asks until the change has been seen; every answer meanwhile is the old one. */
const untilOutdated = Effect.fnUntraced(function* (
  answer: Effect.Effect<unknown, unknown>,
  isOutdated: Effect.Effect<string | undefined>,
  expected: string
) {
  while ((yield* isOutdated) === undefined) {
    assert.strictEqual(yield* answer, expected)
    yield* Effect.sleep(50)
  }
  for (let n = 0; n < 5; n++) assert.strictEqual(yield* answer, expected)
})

for (const level of levels) {
  describe.concurrent(`A version that does not load on ${level.name}`, { timeout: 60_000 }, () => {
    const some = level.name === "thread, reused" ? broken : broken.slice(0, 1)
    for (const [what, source, says] of some) {
      it.live(`because it ${what}: the previous version runs until a good one loads`, () =>
        Effect.gen(function* () {
          const { modulePath, answer, becomes, isOutdated, warnings, ask } = yield* scene(
            level,
            // Some time has to pass here: an endless loop is what ends the isolate, or the load.
            level.isolation === "wasm" || says === "TIMEOUT" ? { timeout: Duration.seconds(3) } : {}
          )
          assert.strictEqual(yield* answer, "a1")
          write(modulePath, source)
          yield* untilOutdated(answer, isOutdated, "a1")
          assert.strictEqual(yield* isOutdated, says)
          assert.lengthOf(warnings, 1)
          assert.include(warnings[0], "still running the previous version")
          // Isolates that are made from now on are of it too.
          if (level.isolation === "wasm") yield* failing(ask("hang"), "TIMEOUT")
          else yield* failing(ask("die"), "WORKER_CRASH")
          assert.strictEqual(yield* answer, "a1")
          assert.lengthOf(warnings, 1)
          write(modulePath, entry(3))
          yield* becomes("a3")
          yield* until("it is no longer outdated", isOutdated, Predicate.isUndefined)
        }).pipe(Effect.scoped, Effect.provide(layer()))
      )
    }
  })
}

const level = levels[0] ?? assert.fail("there is no level")

describe.concurrent("A version that does not load", { timeout: 60_000 }, () => {
  it.live("because of another file is retried when that file changes, is deleted or appears", () =>
    Effect.gen(function* () {
      const { folder, modulePath, answer, becomes, isOutdated } = yield* scene(level)
      assert.strictEqual(yield* answer, "a1")
      write(path.join(folder, "name.mjs"), "export const other = 1")
      yield* untilOutdated(answer, isOutdated, "a1")
      write(path.join(folder, "name.mjs"), name("b"))
      yield* becomes("b1")
      fs.rmSync(path.join(folder, "name.mjs"))
      yield* untilOutdated(answer, isOutdated, "b1")
      write(path.join(folder, "name.mjs"), name("c"))
      yield* becomes("c1")
      write(modulePath, `${entry(2)}\nimport "./late.mjs"`)
      yield* untilOutdated(answer, isOutdated, "c1")
      write(path.join(folder, "late.mjs"), "export default 1")
      yield* becomes("c2")
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.live("is reported by load, with the version that keeps running", () =>
    Effect.gen(function* () {
      const { modulePath, spec, runtime, isOutdated } = yield* scene(level)
      assert.strictEqual((yield* runtime.load(spec)).version, "1.0.0")
      write(modulePath, entry(2))
      // A loader that is too busy to tell of the change in time is asked again.
      yield* until("load returns version 2", runtime.load(spec), ({ version }) => version === "2.0.0")
      write(modulePath, "nonsense here")
      const load = Effect.andThen(runtime.load(spec), isOutdated)
      assert.strictEqual(yield* until("a load is outdated", load, Predicate.isNotUndefined), "LOAD_ERROR")
      assert.strictEqual((yield* runtime.load(spec)).version, "2.0.0")
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.live("is not replaced by a version that the operator has not pinned", () =>
    Effect.gen(function* () {
      const { modulePath, spec, runtime, answer, isOutdated } = yield* scene(level)
      const pinned = { ...spec, integrity: yield* moduleIntegrity(modulePath) }
      const run = Effect.map(runtime.run(pinned, { message }), (output) => dataOf(output)["answer"])
      assert.strictEqual(yield* answer, "a1")
      write(modulePath, entry(2))
      // The version before is of the same files, but nobody has looked at their hash.
      yield* failing(Effect.asVoid(run), "LOAD_ERROR")
      write(modulePath, entry(1))
      assert.strictEqual(yield* run, "a1")
      write(modulePath, entry(2))
      yield* untilOutdated(run, isOutdated, "a1")
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.live("is the plugin's error if no version has loaded before", () =>
    Effect.gen(function* () {
      const { modulePath, ask, isOutdated } = yield* scene(level)
      write(modulePath, "nonsense here")
      yield* failing(ask(), "LOAD_ERROR")
      yield* failing(ask(), "LOAD_ERROR")
      assert.isUndefined(yield* isOutdated)
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.live("is the plugin's error if the host does not want an earlier version", () =>
    Effect.gen(function* () {
      const { modulePath, answer, ask } = yield* scene(level)
      yield* answer
      write(modulePath, "nonsense here")
      const failed = Effect.map(Effect.result(ask()), Result.isFailure)
      yield* until("a run fails", failed, (failed) => failed)
      yield* failing(ask(), "LOAD_ERROR")
    }).pipe(Effect.scoped, Effect.provide(layer({})))
  )

  it.live("leaves cached outputs to the version that made them", () =>
    Effect.gen(function* () {
      const { modulePath, ask, becomes, isOutdated } = yield* scene(level, { cache: true })
      const answerTo = (text: string) => Effect.map(ask(text), (output) => dataOf(output)["answer"])
      assert.strictEqual(yield* answerTo("one"), "a1")
      write(modulePath, "nonsense here")
      let asked = 0
      while ((yield* isOutdated) === undefined) assert.strictEqual(yield* answerTo(`new ${asked++}`), "a1")
      write(modulePath, entry(2))
      yield* becomes("a2")
      // What was asked of the old code in the meantime is not the new code's answer.
      for (let n = 0; n < asked; n++) assert.strictEqual(yield* answerTo(`new ${n}`), "a2")
      assert.strictEqual(yield* answerTo("one"), "a2")
    }).pipe(Effect.scoped, Effect.provide(layer().pipe(Layer.provide(ResultCache.layerMemory()))))
  )
})

it("no version is kept in use if the states of its files cannot be had: nothing would tell of a repair", async () => {
  const entry = "/plugin.mjs"
  const kept = new KeptVersions()
  const good = new Version(undefined, true)
  good.add("", {
    type: "given",
    frame: { head: "{}", body: new Uint8Array() },
    files: [[entry, "1"]],
    searched: undefined,
    watched: [],
    stale: [],
    roots: [],
    refused: false
  })
  kept.loaded(entry, good)
  const unknown = async () => new Map<string, string>()
  assert.isFalse(await kept.failed(entry, new Version(undefined, true), unknown))
  assert.isFalse(kept.isBroken(entry))
  const changed = async () => new Map([[entry, "2"]])
  assert.isTrue(await kept.failed(entry, new Version(undefined, true), changed))
  assert.isTrue(kept.isBroken(entry))
})
