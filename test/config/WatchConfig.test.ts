/** A config file that changes, with what it imports, is taken up by a process that goes on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { temporary, write } from "../support/plugins.ts"

const watchInNode = fileURLToPath(new URL("../fixtures/config/watchInNode.ts", import.meta.url))

const config = (names: string, before = "") => `${before}
  export default { linkifiers: (${names}).map((name) => ({ name, modulePath: "./plugin.mjs" })) }`

/** A workspace that is watched, and what is found in it next: names of plugins, or what is wrong. */
const watched = (files: { readonly [name: string]: string }) =>
  Effect.gen(function* () {
    const root = yield* temporary
    write(path.join(root, "plugin.mjs"), "export default {}")
    for (const [name, text] of Object.entries(files)) write(path.join(root, name), text)
    const found = yield* Queue.unbounded<string>()
    // In the tests' own thread, Vite would stand in for Node's module loader.
    const watcher = yield* Effect.acquireRelease(
      Effect.sync(() => new Worker(watchInNode, { workerData: root })),
      (worker) => Effect.promise(() => worker.terminate())
    )
    watcher.on("message", (text: string) => Queue.offerUnsafe(found, text))
    const next = Queue.take(found).pipe(Effect.timeout("10 seconds"))
    /** At once, as an editor does: a busy machine may stop for long between emptying a file and filling it. */
    const save = (name: string, text: string) => {
      write(path.join(root, `${name}.saving`), text)
      fs.renameSync(path.join(root, `${name}.saving`), path.join(root, name))
    }
    return { root, next, save }
  })

describe("watchConfig", () => {
  it.live("emits the config at once, and again after each change", () =>
    Effect.gen(function* () {
      const { next, save } = yield* watched({ "agentlip.config.ts": config('["a"]') })
      assert.strictEqual(yield* next, "a")
      save("agentlip.config.ts", config('["a", "b"]'))
      assert.strictEqual(yield* next, "a b")
      save("agentlip.config.ts", config('["b"]'))
      assert.strictEqual(yield* next, "b")
    }).pipe(Effect.scoped)
  )

  it.live("a change of an imported file counts, also of one that is imported indirectly", () =>
    Effect.gen(function* () {
      const { next, save } = yield* watched({
        "agentlip.config.mjs": config("names", 'import { names } from "./lib/names.mjs"'),
        "lib/names.mjs": 'import more from "./more.ts"\nexport const names = ["a", ...more]',
        "lib/more.ts": 'const more: string[] = ["x"]\nexport default more'
      })
      assert.strictEqual(yield* next, "a x")
      save("lib/names.mjs", 'import more from "./more.ts"\nexport const names = ["b", ...more]')
      assert.strictEqual(yield* next, "b x")
      save("lib/more.ts", 'export default ["y", "z"]')
      assert.strictEqual(yield* next, "b y z")
    }).pipe(Effect.scoped)
  )

  it.live("a config that is created, renamed and deleted", () =>
    Effect.gen(function* () {
      const { root, next, save } = yield* watched({})
      assert.strictEqual(yield* next, "")
      save("agentlip.config.ts", config('["a"]'))
      assert.strictEqual(yield* next, "a")
      fs.renameSync(path.join(root, "agentlip.config.ts"), path.join(root, "agentlip.config.js"))
      assert.strictEqual(yield* next, "a")
      fs.rmSync(path.join(root, "agentlip.config.js"))
      // A change of name is two events, which a busy machine may report one by one.
      yield* Effect.repeat(next, { until: (said) => said === "" })
    }).pipe(Effect.scoped)
  )

  it.live("an invalid config is reported, and the watch goes on", () =>
    Effect.gen(function* () {
      const { next, save } = yield* watched({ "agentlip.config.ts": config('["a"]') })
      yield* next
      save("agentlip.config.ts", "export default {")
      assert.match(yield* next, /^! .*cannot be loaded/s)
      save("agentlip.config.ts", "export default { linkifier: [] }")
      assert.match(yield* next, /^! .*linkifier/s)
      save("agentlip.config.ts", config("names", 'import { names } from "./late.mjs"'))
      assert.match(yield* next, /^! .*late\.mjs/s)
      // It has never been read, and the config has not changed since.
      save("late.mjs", 'export const names = ["late"]')
      assert.strictEqual(yield* next, "late")
    }).pipe(Effect.scoped)
  )
})
