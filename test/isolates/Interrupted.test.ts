/** Callers that are interrupted before or during their run. Every other caller gets its own output. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Logger } from "effect"
import * as fs from "node:fs"
import { CircuitBreaker } from "../../src/CircuitBreaker.ts"
import { PluginStats } from "../../src/Metrics.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { WorkerLayer } from "../../src/WorkerLayer.ts"
import { diarist } from "../support/diary.ts"
import { layerRuntime, levels, message } from "../support/isolation.ts"
import { dataOf, temporary } from "../support/plugins.ts"

const source = `
  import { appendFileSync } from "node:fs"
  export default {
    name: "diarist",
    version: "1.0.0",
    async enrich({ message, config }) {
      const [millis, id] = message.content_raw.split(" ")
      appendFileSync(config.diary, id + "\\n")
      if (id === "first") console.log("begun")
      await new Promise((resolve) => setTimeout(resolve, Number(millis)))
      return [{ kind: "a", span: { start: 0, end: 1 }, data: { id } }]
    }
  }`

/** Pseudorandom numbers that are the same each time. */
const chance = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

const pick = (next: () => number, many: number, of: number): Set<number> => {
  const picked = new Set<number>()
  while (picked.size < many) picked.add(Math.floor(next() * of))
  return picked
}

for (const level of levels.filter(({ isolation, reuse }) => reuse === "plugin" && isolation !== "wasm")) {
  describe(`Interrupted callers on ${level.name}`, () => {
    const setUp = Effect.gen(function* () {
      const folder = yield* temporary
      const runtime = yield* PluginRuntime
      const { diary, spec } = diarist(level, folder, source)
      const run = (millis: number, id: number | string) =>
        Effect.map(
          runtime.run(spec, { message: { ...message, content_raw: `${millis} ${id}` } }),
          (output) => dataOf(output)["id"]
        )
      return {
        run,
        begun: Effect.sync(() => fs.readFileSync(diary, "utf8").split("\n").slice(0, -1)),
        standStillUntil: (id: string) =>
          Effect.sync(() => {
            const until = performance.now() + 10_000
            while (!fs.readFileSync(diary, "utf8").includes(id)) assert.isBelow(performance.now(), until)
          }),
        loads: Effect.flatMap(PluginStats, (stats) =>
          Effect.map(stats.of("diarist"), ({ loadMillis }) => loadMillis.count)
        )
      }
    })
    const atOnce = { startImmediately: true }
    const row = (length: number) => Array.from({ length }, (_, n) => n)

    it.live("do not affect the others while their runs wait: at most one more isolate starts", () =>
      Effect.gen(function* () {
        const { run, begun, loads } = yield* setUp
        yield* run(0, "warm")
        const at = yield* Deferred.make<void>()
        const logger = Logger.make<unknown, void>(() => Deferred.doneUnsafe(at, Effect.void))
        const first = yield* Effect.forkChild(
          Effect.provide(run(300, "first"), Logger.layer([logger])),
          atOnce
        )
        const leaving = pick(chance(7), 20, 63)
        // The interrupted runs are long, so none ends before its isolate is killed.
        const calls = yield* Effect.forEach(row(63), (n) =>
          Effect.forkChild(run(leaving.has(n) ? 15_000 : 1, n), atOnce)
        )
        yield* Deferred.await(at)
        yield* Effect.forEach(leaving, (n) => Fiber.interrupt(calls[n] ?? first), {
          concurrency: "unbounded"
        })
        assert.strictEqual(yield* Fiber.join(first), "first")
        for (const [n, call] of calls.entries()) {
          if (!leaving.has(n)) assert.strictEqual(yield* Fiber.join(call), String(n))
        }
        const staying = row(63).filter((n) => !leaving.has(n))
        const noted = yield* begun
        assert.deepStrictEqual(
          noted.filter((id) => staying.includes(Number(id))),
          staying.map(String),
          "in order, each once"
        )
        assert.strictEqual(new Set(noted).size, noted.length)
        assert.isAtMost(yield* loads, 2)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )

    it.live(
      "may be interrupted just after the guest replied: the next run has begun there and executes twice",
      () =>
        Effect.gen(function* () {
          const { run, begun, standStillUntil } = yield* setUp
          yield* run(0, "warm")
          const leaving = yield* Effect.forkChild(run(1, "leaving"), atOnce)
          const staying = yield* Effect.forkChild(run(500, "staying"), atOnce)
          const last = yield* Effect.forkChild(run(0, "last"), atOnce)
          // The runs are handed over. Then the host blocks, so it does not see that its guest has begun the next run.
          yield* Effect.promise(() => Promise.resolve())
          yield* standStillUntil("staying")
          yield* Fiber.interrupt(leaving)
          assert.strictEqual(yield* Fiber.join(staying), "staying")
          assert.strictEqual(yield* Fiber.join(last), "last")
          assert.deepStrictEqual(yield* begun, ["warm", "leaving", "staying", "staying", "last"])
        }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )

    for (const seed of [1, 2, 3]) {
      it.live(`may leave at any time, before or during their run (${seed})`, () =>
        Effect.gen(function* () {
          const { run, begun, loads } = yield* setUp
          yield* run(0, "warm")
          const calls = yield* Effect.forEach(row(64), (n) => Effect.forkChild(run(2, n), atOnce))
          const next = chance(seed)
          const leaving = pick(next, 20, calls.length)
          const interrupted = new Set<number>()
          for (const n of leaving) {
            yield* Effect.sleep(next() * 12)
            const call = calls[n]
            if (call !== undefined) yield* Fiber.interrupt(call)
            interrupted.add(n)
          }
          const exits = yield* Effect.forEach(calls, Fiber.await)
          for (const [n, exit] of exits.entries()) {
            if (!interrupted.has(n)) assert.deepStrictEqual(exit, Exit.succeed(String(n)))
            else if (Exit.isSuccess(exit)) assert.strictEqual(exit.value, String(n))
            else assert.isTrue(Exit.hasInterrupts(exit))
          }
          const noted = yield* begun
          // When a guest is killed, it may be ahead of what its host knows, on a busy machine by several runs. They
          // begin again in the next isolate only.
          const executions = Map.groupBy(noted, (id) => id)
          for (const [id, lines] of executions) assert.isAtMost(lines.length, yield* loads, id)
          const done = row(64).filter((n) => exits[n] !== undefined && Exit.isSuccess(exits[n]))
          assert.includeMembers(noted, done.map(String))
          assert.isAtMost(yield* loads, 1 + leaving.size)
          assert.strictEqual((yield* (yield* WorkerLayer).stats).zombies, 0)
          const state = yield* (yield* CircuitBreaker).state("diarist")
          assert.deepStrictEqual(state, { _tag: "Closed", failures: 0 })
          assert.strictEqual(yield* run(0, "after"), "after")
        }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
      )
    }
  })
}
