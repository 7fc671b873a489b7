/** What a result cache keeps, under which keys, and when it is asked. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schedule } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Lru, sizeOf } from "../src/cache/Lru.ts"
import { ExecutionError, InvalidOutput, LoadError, type PluginError } from "../src/Errors.ts"
import { makeSpec, type PluginSpecOptions } from "../src/Plugin.ts"
import { linkifier } from "../src/PluginKinds.ts"
import { makeCachedRuns, ResultCache } from "../src/ResultCache.ts"

const integrity = `sha256-${"a".repeat(43)}=`
const specOf = (options: Partial<PluginSpecOptions<typeof linkifier>> = {}) =>
  makeSpec({ name: "p", kind: linkifier, modulePath: "/plugins/p.ts", integrity, cache: true, ...options })

/** Runs that answer how many there were, and what was asked of the cache. */
const harness = Effect.gen(function* () {
  const cache = yield* ResultCache
  const runs = makeCachedRuns(cache, () => false)
  const results: Array<string> = []
  const pinned: Array<string | undefined> = []
  const run = (
    spec: ReturnType<typeof specOf>,
    input: string,
    answer: Effect.Effect<string, PluginError> = Effect.sync(() => `answer ${pinned.length}`),
    decode: (text: string) => Effect.Effect<string, PluginError> = Effect.succeed
  ) =>
    runs.cached({ spec, pin: undefined }, input, {
      decode,
      run: (spec, keep) =>
        Effect.suspend(() => {
          pinned.push(spec.integrity)
          return Effect.tap(answer, (output) => keep({ version: "1.2.3", output }))
        }),
      onHit: (version) => results.push(version === "1.2.3" ? "hit" : `hit of ${version}`),
      onMiss: () => results.push("miss")
    })
  return { run, results, pinned, cache }
})

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "result-cache-")))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
)

describe("ResultCache: keys", () => {
  it.effect("the same input of the same spec runs once, also where the spec was made anew", () =>
    Effect.gen(function* () {
      const { run, results } = yield* harness
      assert.strictEqual(yield* run(specOf(), "{}"), "answer 1")
      assert.strictEqual(yield* run(specOf(), "{}"), "answer 1")
      assert.deepStrictEqual(results, ["miss", "hit"])
    }).pipe(Effect.provide(ResultCache.layerMemory()))
  )

  it.effect("everything that can change the output changes the key", () =>
    Effect.gen(function* () {
      const { run, results } = yield* harness
      yield* run(specOf(), "{}")
      const others: ReadonlyArray<Partial<PluginSpecOptions<typeof linkifier>>> = [
        { name: "q" },
        { config: { a: 1 } },
        { limits: { outputItems: 1 } },
        { isolation: "wasm" },
        { integrity: `sha256-${"b".repeat(43)}=` }
      ]
      for (const other of others) yield* run(specOf(other), "{}")
      yield* run(specOf(), '{"a":1}')
      assert.deepStrictEqual(
        results,
        Array.from({ length: 7 }, () => "miss")
      )
    }).pipe(Effect.provide(ResultCache.layerMemory()))
  )

  it.effect("what makes none is the same key: timeout, concurrency, breaker, the order of limits", () =>
    Effect.gen(function* () {
      const { run, results } = yield* harness
      const { memory, ...rest } = specOf().limits
      yield* run(specOf(), "{}")
      yield* run(specOf({ timeout: 1, concurrency: 3, breaker: { failureThreshold: 9 } }), "{}")
      yield* run({ ...specOf(), limits: { ...rest, memory } }, "{}")
      assert.deepStrictEqual(results, ["miss", "hit", "hit"])
    }).pipe(Effect.provide(ResultCache.layerMemory()))
  )
})

describe("ResultCache: what is kept", () => {
  it.effect("no failure is", () =>
    Effect.gen(function* () {
      const { run, results, cache } = yield* harness
      const failure = new ExecutionError({ plugin: "p", cause: { name: "Error", message: "no" } })
      assert(Exit.isFailure(yield* Effect.exit(run(specOf(), "{}", Effect.fail(failure)))))
      assert.strictEqual((yield* cache.stats).entries, 0)
      assert.strictEqual(yield* run(specOf(), "{}"), "answer 2")
      assert.deepStrictEqual(results, ["miss", "miss"])
    }).pipe(Effect.provide(ResultCache.layerMemory()))
  )

  it.effect("a text that no longer decodes is a miss, and replaced", () =>
    Effect.gen(function* () {
      const { run, results } = yield* harness
      const decode = (text: string) =>
        text === "bad" ? Effect.fail(new InvalidOutput({ plugin: "p", issue: "bad" })) : Effect.succeed(text)
      yield* run(specOf(), "{}", Effect.succeed("bad"))
      assert.strictEqual(yield* run(specOf(), "{}", Effect.succeed("good"), decode), "good")
      assert.strictEqual(yield* run(specOf(), "{}", Effect.die("ran"), decode), "good")
      assert.deepStrictEqual(results, ["miss", "miss", "hit"])
    }).pipe(Effect.provide(ResultCache.layerMemory()))
  )

  it("is bounded by entries and bytes; the least recently used text is removed first", () => {
    const few = new Lru<string>({ maxEntries: 2 })
    few.set("a", "1")
    few.set("b", "2")
    assert.strictEqual(few.get("a"), "1")
    few.set("c", "3")
    assert.deepStrictEqual([few.get("a"), few.get("b"), few.get("c")], ["1", undefined, "3"])
    const small = new Lru({ maxSize: 2 * sizeOf("1234"), sizeOf })
    small.set("a", "1234")
    small.set("a", "1234")
    small.set("b", "1234")
    assert.deepStrictEqual([small.entries, small.size], [2, 2 * sizeOf("1234")])
    small.set("c", "12345")
    assert.deepStrictEqual([small.entries, small.size], [1, sizeOf("12345")])
    small.set("huge", "x".repeat(1_000))
    assert.deepStrictEqual([small.get("c"), small.get("huge")], ["12345", undefined])
  })
})

describe("ResultCache: modules", () => {
  it.live("runs are pinned to the hash in their key; a changed file is another key", () =>
    Effect.gen(function* () {
      const { run, results, pinned } = yield* harness
      const root = yield* folder
      const modulePath = path.join(root, "p.mjs")
      fs.writeFileSync(modulePath, 'import "./part.mjs"\nexport default {}')
      fs.writeFileSync(path.join(root, "part.mjs"), "export const part = 1")
      const { integrity: _, ...unpinned } = specOf({ modulePath })
      yield* run(unpinned, "{}")
      yield* run(unpinned, "{}")
      assert.deepStrictEqual(results, ["miss", "hit"])
      assert.match(String(pinned[0]), /^sha256-/)
      fs.writeFileSync(path.join(root, "part.mjs"), "export const part = 2")
      yield* Effect.repeat(run(unpinned, "{}"), {
        until: (answer) => answer === "answer 2",
        schedule: Schedule.spaced("20 millis")
      }).pipe(Effect.timeout("25 seconds"))
      assert.notStrictEqual(pinned[1], pinned[0])
    }).pipe(Effect.provide(ResultCache.layerMemory()))
  )

  it.live("a load that fails has the files looked at again at once", () =>
    Effect.gen(function* () {
      const { run, pinned } = yield* harness
      const root = yield* folder
      const modulePath = path.join(root, "p.mjs")
      fs.writeFileSync(modulePath, "export default 1")
      const { integrity: _, ...unpinned } = specOf({ modulePath })
      yield* run(unpinned, "1")
      fs.writeFileSync(modulePath, "export default 2")
      const failure = new LoadError({ plugin: "p", modulePath, reason: "other modules" })
      yield* Effect.exit(run(unpinned, "2", Effect.fail(failure)))
      yield* run(unpinned, "3")
      assert.notStrictEqual(pinned[2], pinned[0])
    }).pipe(Effect.provide(ResultCache.layerMemory()))
  )

  it.live("modules that cannot be hashed run, unpinned and unkept", () =>
    Effect.gen(function* () {
      const { run, results, pinned } = yield* harness
      const { integrity: _, ...unpinned } = specOf({ modulePath: path.join(yield* folder, "none.mjs") })
      yield* run(unpinned, "{}")
      yield* run(unpinned, "{}")
      assert.deepStrictEqual(results, [])
      assert.deepStrictEqual(pinned, [undefined, undefined])
    }).pipe(Effect.provide(Layer.fresh(ResultCache.layerMemory())))
  )
})
