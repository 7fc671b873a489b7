/** Runs that are handed ahead to a warm isolate execute one at a time, and do not affect each other. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, References, Result, Tracer } from "effect"
import { TestClock } from "effect/testing"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { IsolationLevel } from "../../../src/Capabilities.ts"
import { CircuitBreaker } from "../../../src/CircuitBreaker.ts"
import type { PluginSpecOptions } from "../../../src/Plugin.ts"
import { linkifier } from "../../../src/PluginKinds.ts"
import { PluginRuntime } from "../../../src/Runtime.ts"
import { WorkerLayer } from "../../../src/WorkerLayer.ts"
import { layerRuntime, levels, message, specOn } from "../../support/isolation.ts"
import { dataOf, failing, temporary, write } from "../../support/plugins.ts"

const obedient = fileURLToPath(new URL("../../fixtures/good/obedient.ts", import.meta.url))

/** Loads are slow on a busy machine. These tests are about the deadlines of runs. */
const patient = { timeout: 10_000 }

const reused = levels.filter(({ reuse }) => reuse === "plugin")

for (const level of reused) {
  const spec = (options: Partial<PluginSpecOptions<typeof linkifier>> = {}) =>
    specOn(level, { name: "obedient", kind: linkifier, modulePath: obedient, ...patient, ...options })
  const run = (order: string, options: Partial<PluginSpecOptions<typeof linkifier>> = {}) =>
    Effect.flatMap(PluginRuntime, (runtime) =>
      runtime.run(spec(options), { message: { ...message, content_raw: order } })
    )
  /** Starts all runs at once. The results are in the order of `orders`. */
  const together = (
    orders: ReadonlyArray<string>,
    options: Partial<PluginSpecOptions<typeof linkifier>> = {}
  ) => Effect.forEach(orders, (order) => Effect.result(run(order, options)), { concurrency: "unbounded" })
  const codes = (results: ReadonlyArray<Result.Result<unknown, { readonly _tag: string }>>) =>
    results.map((result) => (Result.isSuccess(result) ? "ok" : result.failure._tag))
  const among = (order: string, place: number, all = 40) =>
    Array.from({ length: all }, (_, n) => (n === place ? order : "answer"))
  const except = (code: string, place: number, all = 40) =>
    Array.from({ length: all }, (_, n) => (n === place ? code : "ok"))
  /** Loads the plugin first, so that the load does not count towards a run's time. */
  const warm = run("answer")

  describe(`Runs handed ahead on ${level.name}`, () => {
    it.live("execute on one isolate in order, one at a time", () =>
      Effect.gen(function* () {
        const results = yield* together(Array.from({ length: 200 }, () => "answer"))
        const runs = results.map((result) =>
          Result.isSuccess(result) ? dataOf(result.success)["runs"] : result.failure.message
        )
        // QuickJS forgets what a run has changed.
        const expected = level.isolation === "wasm" ? 1 : undefined
        assert.deepStrictEqual(
          runs,
          runs.map((_, n) => expected ?? n + 1)
        )
        const { isolates } = yield* (yield* WorkerLayer).stats
        assert.strictEqual(isolates, 1)
      }).pipe(Effect.provide(layerRuntime()))
    )

    it.live("move to another isolate if the run before them hangs and gets TIMEOUT", () =>
      Effect.gen(function* () {
        yield* warm
        const results = yield* together(among("spin", 7), { timeout: 1_000 })
        assert.deepStrictEqual(codes(results), except("TIMEOUT", 7))
      }).pipe(Effect.provide(layerRuntime()))
    )

    if (level.isolation !== "wasm") {
      it.live("fail with WORKER_CRASH only if they crash their isolate themselves", () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(codes(yield* together(among("exit 3", 7))), except("WORKER_CRASH", 7))
        }).pipe(Effect.provide(layerRuntime()))
      )

      it.live(
        "get a fresh isolate if the run before them left something behind, which still returns its output",
        () =>
          Effect.gen(function* () {
            const results = yield* together(among("leave", 7, 20))
            assert.deepStrictEqual(
              results.map((result) => (Result.isSuccess(result) ? dataOf(result.success)["runs"] : "failed")),
              [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
            )
          }).pipe(Effect.provide(layerRuntime()))
      )
    }

    it.live("have a deadline that starts when they begin, not while they wait", () =>
      Effect.gen(function* () {
        yield* warm
        const results = yield* together(
          Array.from({ length: 12 }, () => "sleep 150"),
          { timeout: 1_000 }
        )
        assert.deepStrictEqual(codes(results), except("", -1, 12))
      }).pipe(Effect.provide(layerRuntime()))
    )

    it.live("of specs with different timeouts share an isolate, and keep their own deadlines", () =>
      Effect.gen(function* () {
        if (level.isolation === "wasm") return
        yield* warm
        const long = yield* Effect.forkChild(run("sleep 700"))
        const short = yield* Effect.forkChild(failing(run("sleep 5000", { timeout: 400 }), "TIMEOUT"))
        assert.strictEqual(dataOf(yield* Fiber.join(long))["runs"], 2)
        const [elapsed] = yield* Effect.timed(Fiber.join(short))
        // Its own deadline, well before the end of its sleep.
        assert.isBelow(Duration.toMillis(elapsed), 4_500)
      }).pipe(Effect.provide(layerRuntime()))
    )

    it.live("are not affected if another one is interrupted while it waits", () =>
      Effect.gen(function* () {
        yield* warm
        const first = yield* Effect.forkChild(run("sleep 400"))
        const waiting = yield* Effect.forkChild(run("spin"))
        const last = yield* Effect.forkChild(run("answer"))
        yield* Effect.sleep(50)
        yield* Fiber.interrupt(waiting)
        yield* Fiber.join(first)
        yield* Fiber.join(last)
      }).pipe(Effect.provide(layerRuntime()), Effect.timeout("8 seconds"))
    )

    it.live("move to another isolate if the current run is interrupted", () =>
      Effect.gen(function* () {
        yield* warm
        const begun = yield* Deferred.make<void>()
        const logger = Logger.make<unknown, void>(() => Deferred.doneUnsafe(begun, Effect.void))
        const spinning = yield* Effect.forkChild(run("spin").pipe(Effect.provide(Logger.layer([logger]))))
        const behind = yield* Effect.forkChild(together(among("answer", 0, 10)))
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(spinning)
        assert.deepStrictEqual(codes(yield* Fiber.join(behind)), except("", -1, 10))
        const state = yield* (yield* CircuitBreaker).state("obedient")
        assert.strictEqual(state._tag, "Closed")
      }).pipe(Effect.provide(layerRuntime()))
    )

    it.live("are refused at once, without a start, after three failures", () =>
      Effect.gen(function* () {
        yield* warm
        const [elapsed, results] = yield* Effect.timed(
          together(
            Array.from({ length: 20 }, () => "spin"),
            { timeout: 400 }
          )
        )
        assert.deepStrictEqual(codes(results), [
          ...Array.from({ length: 3 }, () => "TIMEOUT"),
          ...Array.from({ length: 17 }, () => "CIRCUIT_OPEN")
        ])
        // Twenty timeouts would take 8 s.
        assert.isBelow(Duration.toMillis(elapsed), 7_000)
      }).pipe(Effect.provide(layerRuntime(3)))
    )

    it.live("write log lines with their own run's name", () =>
      Effect.gen(function* () {
        yield* warm
        const lines: Array<string> = []
        const logger = Logger.make<unknown, void>(({ message, fiber }) => {
          const { run } = fiber.getRef(References.CurrentLogAnnotations)
          lines.push(`${String(run)} ${Array.isArray(message) ? message.join(" ") : String(message)}`)
        })
        yield* together(["log 2", "answer", "log 1", "answer", "log 1"]).pipe(
          Effect.provide(Logger.layer([logger]))
        )
        assert.deepStrictEqual(lines, [
          "obedient#2 line 0",
          "obedient#2 line 1",
          "obedient#4 line 0",
          "obedient#6 line 0"
        ])
      }).pipe(Effect.provide(layerRuntime()))
    )

    it.live("get the traceparent of their caller, if there is a trace", () =>
      Effect.gen(function* () {
        const folder = yield* temporary
        const modulePath = write(
          path.join(folder, "trace.mjs"),
          `export default { name: "trace", version: "1.0.0", enrich: (_, { traceparent }) =>
             [{ kind: "trace", span: { start: 0, end: 1 }, data: { traceparent: traceparent ?? null } }] }`
        )
        const traced = run("x", { modulePath, name: "trace" })
        const plain = dataOf(yield* traced)["traceparent"]
        const given = dataOf(
          yield* traced.pipe(
            Effect.withSpan("request"),
            Effect.provideService(
              Tracer.Tracer,
              Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })
            )
          )
        )["traceparent"]
        assert.isNull(plain)
        assert.match(String(given), /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )

    it.live("all fail soon if the runtime closes", () =>
      Effect.gen(function* () {
        const calls = yield* Effect.gen(function* () {
          yield* warm
          const calls = yield* Effect.forkDetach(together(among("sleep 60000", 0, 100)))
          yield* Effect.sleep(100)
          return calls
        }).pipe(Effect.provide(layerRuntime()))
        const exit = yield* Effect.timeout(Fiber.await(calls), "5 seconds")
        assert.isTrue(Exit.isSuccess(exit))
        if (Exit.isSuccess(exit)) assert.notInclude(codes(exit.value), "ok")
      })
    )

    it.effect("have deadlines on the caller's clock", () =>
      Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const logger = Logger.make<unknown, void>(() => Deferred.doneUnsafe(begun, Effect.void))
        const spinning = yield* run("spin", { timeout: "10 seconds" }).pipe(
          Effect.provide(Logger.layer([logger])),
          Effect.flip,
          Effect.forkChild
        )
        yield* Deferred.await(begun)
        yield* TestClock.adjust("10 seconds")
        const error = yield* Fiber.join(spinning)
        assert.strictEqual(error._tag, "TIMEOUT", error.message)
      }).pipe(Effect.provide(layerRuntime()))
    )
  })
}

/** These behave the same on every level. Threads are the fastest. */
describe("Warm isolates", () => {
  const isolation: IsolationLevel = "thread"
  const level = reused.find((level) => level.isolation === isolation) ?? {
    name: isolation,
    isolation,
    reuse: "plugin" as const
  }

  it.live("of all plugins stay within the memory budget; the most recently used ones stay", () =>
    Effect.gen(function* () {
      const runtime = yield* PluginRuntime
      const specs = Array.from({ length: 8 }, (_, n) =>
        specOn(level, { name: `plugin-${n}`, kind: linkifier, modulePath: obedient, ...patient })
      )
      const ask = { message: { ...message, content_raw: "answer" } }
      for (const spec of specs) yield* runtime.run(spec, ask)
      const stats = yield* (yield* WorkerLayer).stats
      assert.isAtMost(stats.levels.get(isolation)?.idle ?? 0, 4)
      const runsOf = (n: number) =>
        Effect.gen(function* () {
          const spec = specs[n]
          return spec === undefined ? undefined : dataOf(yield* runtime.run(spec, ask))["runs"]
        })
      assert.strictEqual(yield* runsOf(7), 2)
      assert.strictEqual(yield* runsOf(0), 1)
    }).pipe(
      Effect.provide(
        PluginRuntime.layer.pipe(
          Layer.provideMerge(CircuitBreaker.layer()),
          Layer.provideMerge(WorkerLayer.layerThread({ spares: 0, warmMemory: 50 }))
        )
      )
    )
  )

  const keeping = (options: { readonly maxRuns?: number }) =>
    PluginRuntime.layer.pipe(
      Layer.provideMerge(CircuitBreaker.layer()),
      Layer.provideMerge(WorkerLayer.layerThread({ spares: 0, ...options }))
    )

  it.live("that are never idle are replaced after maxRuns, one at a time", () =>
    Effect.gen(function* () {
      const runtime = yield* PluginRuntime
      const spec = specOn(level, { name: "obedient", kind: linkifier, modulePath: obedient, ...patient })
      const ask = { message: { ...message, content_raw: "answer" } }
      const outputs = yield* Effect.replicateEffect(runtime.run(spec, ask), 100, { concurrency: "unbounded" })
      // Which caller gets an isolate's first run is not specified.
      assert.deepStrictEqual(
        outputs.map((output) => Number(dataOf(output)["runs"])).sort((a, b) => a - b),
        outputs.map((_, n) => 1 + Math.floor(n / 10))
      )
    }).pipe(Effect.provide(keeping({ maxRuns: 10 })))
  )

  it.live("that crash while idle are no longer counted", () =>
    Effect.gen(function* () {
      const modulePath = write(
        path.join(yield* temporary, "mortal.mjs"),
        `setTimeout(() => { throw new Error("boom") }, 100)
        export default { name: "mortal", version: "1.0.0", enrich: () => [] }`
      )
      const runtime = yield* PluginRuntime
      yield* runtime.run(specOn(level, { name: "mortal", kind: linkifier, modulePath, ...patient }), {
        message
      })
      const { stats } = yield* WorkerLayer
      // Unused isolates end after five minutes by default, so this one has crashed.
      yield* Effect.repeat(Effect.delay(stats, 10), { until: ({ isolates }) => isolates === 0 })
    }).pipe(Effect.scoped, Effect.provide(keeping({})), Effect.timeout("10 seconds"))
  )

  it.live("that are busy: tryRun fails with QUEUE_FULL where run would wait", () =>
    Effect.gen(function* () {
      const runtime = yield* PluginRuntime
      const spec = specOn(level, {
        name: "busy",
        kind: linkifier,
        modulePath: obedient,
        ...patient,
        limits: { cpu: 5_000, queue: 2 }
      })
      const ask = (order: string) => ({ message: { ...message, content_raw: order } })
      yield* runtime.run(spec, ask("answer"))
      const first = yield* Effect.forkChild(runtime.run(spec, ask("sleep 500")))
      yield* Effect.yieldNow
      const waiting = yield* Effect.forkChild(
        Effect.all([runtime.run(spec, ask("answer")), runtime.tryRun(spec, ask("answer"))], {
          concurrency: "unbounded"
        })
      )
      yield* Effect.yieldNow
      const error = yield* Effect.flip(runtime.tryRun(spec, ask("answer")))
      assert.strictEqual(error._tag, "QUEUE_FULL")
      assert.include(error.message, '2 runs of plugin "busy"')
      yield* Fiber.join(first)
      yield* Fiber.join(waiting)
    }).pipe(Effect.provide(layerRuntime()))
  )
})
