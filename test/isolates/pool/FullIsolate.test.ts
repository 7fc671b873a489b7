/** An isolate gets no more runs if those that it holds are too large. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger } from "effect"
import * as path from "node:path"
import { PluginStats } from "../../../src/Metrics.ts"
import { linkifier } from "../../../src/PluginKinds.ts"
import { PluginRuntime } from "../../../src/Runtime.ts"
import { layerRuntime, message, specOn } from "../../support/isolation.ts"
import { dataOf, temporary, write } from "../../support/plugins.ts"

/** Returns the number of the isolate's run. `hold FILE` first waits until the file exists. */
const source = `import { existsSync } from "node:fs"
import { setTimeout } from "node:timers/promises"
let runs = 0
export default {
  name: "holds",
  version: "1.0.0",
  async enrich({ message }) {
    const run = ++runs
    const [order, file] = message.content_raw.split(" ")
    if (order === "hold") {
      console.log("holds")
      while (!existsSync(file)) await setTimeout(20)
    }
    return [{ kind: "run", span: { start: 0, end: 1 }, data: { run } }]
  }
}`

/** More characters than an isolate is handed ahead. */
const large = ` ${"x".repeat(1024 * 1024)}`

/** 63 of them take twice the memory that an isolate may have. */
const huge = ` ${"x".repeat(4 * 1024 * 1024)}`

/** Waits until the host has measured the plugin's processor time and memory ten more times. */
const measured = Effect.gen(function* () {
  const stats = yield* PluginStats
  const cpu = Effect.map(stats.of("holds"), ({ cpuMillis }) => cpuMillis)
  for (let times = 0; times < 10; times++) {
    const before = yield* cpu
    yield* Effect.repeat(Effect.delay(cpu, "10 millis"), { until: (now) => now > before })
  }
})

const scene = (concurrency: number) =>
  Effect.gen(function* () {
    const folder = yield* temporary
    const runtime = yield* PluginRuntime
    const spec = specOn(
      { name: "thread, reused", isolation: "thread", reuse: "plugin" },
      {
        name: "holds",
        kind: linkifier,
        modulePath: write(path.join(folder, "holds.mjs"), source),
        grants: { read: [folder] },
        timeout: "60 seconds",
        concurrency,
        limits: { queue: 1 }
      }
    )
    const ask = (content_raw: string) => ({ message: { ...message, content_raw } })
    const fork = (content_raw: string) =>
      Effect.forkChild(
        Effect.map(runtime.run(spec, ask(content_raw)), (output) => dataOf(output)["run"]),
        { startImmediately: true }
      )
    /** Returns when the run occupies its isolate. */
    const hold = (name: string, more = "") =>
      Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const logger = Logger.make<unknown, void>(() => Deferred.doneUnsafe(begun, Effect.void))
        const fiber = yield* Effect.provide(
          fork(`hold ${path.join(folder, name)}${more}`),
          Logger.layer([logger])
        )
        yield* Effect.raceFirst(Deferred.await(begun), Fiber.join(fiber))
        return fiber
      })
    const release = (name: string) => Effect.sync(() => write(path.join(folder, name), ""))
    return { runtime, spec, ask, fork, hold, release }
  })

describe("An isolate that is full by size", () => {
  it.live(
    "does not delay runs that another isolate has room for",
    () =>
      Effect.gen(function* () {
        const { fork, hold, release } = yield* scene(2)
        const full = yield* hold("never", large)
        const other = yield* hold("soon")
        const behind = yield* fork("answer")
        // If the run were still queued, it would now get its own isolate.
        yield* Fiber.interrupt(full)
        yield* release("soon")
        assert.strictEqual(yield* Fiber.join(other), 1)
        assert.strictEqual(yield* Fiber.join(behind), 2)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime())),
    60_000
  )

  it.live(
    "counts as full: tryRun fails with QUEUE_FULL when limits.queue runs wait",
    () =>
      Effect.gen(function* () {
        const { runtime, spec, ask, fork, hold, release } = yield* scene(1)
        const full = yield* hold("soon", large)
        const waiting = yield* fork("answer")
        const error = yield* Effect.flip(Effect.timeout(runtime.tryRun(spec, ask("answer")), "20 seconds"))
        assert.strictEqual(error._tag, "QUEUE_FULL")
        yield* release("soon")
        assert.strictEqual(yield* Fiber.join(full), 1)
        assert.strictEqual(yield* Fiber.join(waiting), 2)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime())),
    60_000
  )

  it.live(
    "does not fill with the texts of runs that wait",
    () =>
      Effect.gen(function* () {
        const { fork, hold, release } = yield* scene(1)
        const full = yield* hold("soon", large)
        const waiting = yield* Effect.replicateEffect(fork(`answer${huge}`), 63)
        yield* Effect.raceFirst(measured, Fiber.join(full))
        yield* release("soon")
        assert.strictEqual(yield* Fiber.join(full), 1)
        for (const [n, run] of waiting.entries()) assert.strictEqual(yield* Fiber.join(run), n + 2)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime())),
    60_000
  )

  it.live(
    "still answers a load",
    () =>
      Effect.gen(function* () {
        const { runtime, spec, hold, release } = yield* scene(1)
        const full = yield* hold("soon", large)
        const info = yield* Effect.timeout(runtime.load(spec), "20 seconds")
        assert.strictEqual(info.version, "1.0.0")
        yield* release("soon")
        assert.strictEqual(yield* Fiber.join(full), 1)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime())),
    60_000
  )
})
