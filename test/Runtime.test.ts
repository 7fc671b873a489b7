/** What the runtime adds to its workers: queue, deadline, breaker, telemetry. The workers are fakes. */
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Ref,
  Result,
  Scheduler,
  Tracer
} from "effect"
import { References, Schema } from "effect"
import { TestClock } from "effect/testing"
import { type BreakerOptions, CircuitBreaker } from "../src/CircuitBreaker.ts"
import { CircuitOpen, ExecutionError, LoadError, PluginTimeout, WorkerCrash } from "../src/Errors.ts"
import { makeSpec, type PluginSpecOptions } from "../src/Plugin.ts"
import { extractor, linkifier, makeKind } from "../src/PluginKinds.ts"
import { PluginRuntime } from "../src/Runtime.ts"
import { type FakePlugin, WorkerLayer } from "../src/WorkerLayer.ts"
import { messageOf } from "./fixtures/library/message.ts"

const input = { message: messageOf("text") }
const found = [{ kind: "k", span: { start: 0, end: 4 }, data: {} }]

const specOf = (name: string, options: Partial<PluginSpecOptions<typeof linkifier>> = {}) =>
  makeSpec({ name, kind: linkifier, modulePath: `/plugins/${name}.ts`, ...options })

const withPlugins = (plugins: { readonly [name: string]: FakePlugin }, breaker?: BreakerOptions) =>
  Effect.provide(
    PluginRuntime.layer.pipe(
      Layer.provideMerge(CircuitBreaker.layer(breaker)),
      Layer.provide(WorkerLayer.layerTest(plugins))
    )
  )

const run = (name: string, options?: Partial<PluginSpecOptions<typeof linkifier>>) => {
  const spec = specOf(name, options)
  return Effect.flatMap(PluginRuntime, (runtime) => runtime.run(spec, input))
}
const crash = (name: string) => Effect.fail(new WorkerCrash({ plugin: name, reason: "it fell" }))

/** Starts an effect and lets it go as far as it can before the clock moves. */
const start = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.forkChild(effect, { startImmediately: true })

/** A plugin that is held until the test lets it go, and knows how many of its runs go at once. */
const makeGate = Effect.gen(function* () {
  const open = yield* Deferred.make<void>()
  let running = 0
  let most = 0
  let started = 0
  let interrupted = 0
  const plugin: FakePlugin = () =>
    Effect.suspend(() => {
      started++
      most = Math.max(most, ++running)
      return Deferred.await(open)
    }).pipe(
      Effect.as(found),
      Effect.onInterrupt(() => Effect.sync(() => interrupted++)),
      Effect.ensuring(Effect.sync(() => running--))
    )
  return {
    plugin,
    release: Deferred.succeed(open, undefined),
    seen: () => ({ started, running, most, interrupted })
  }
})

describe("Runtime: run", () => {
  it.effect("gives the plugin its input and config, and the caller its decoded output", () =>
    Effect.gen(function* () {
      const asked = yield* Ref.make<unknown>(undefined)
      const output = yield* run("p", { config: { a: 1 } }).pipe(
        withPlugins({ p: (given) => Effect.as(Ref.set(asked, given), [{ ...found[0], extra: 1 }]) })
      )
      assert.deepStrictEqual(output, found)
      assert.deepStrictEqual(yield* Ref.get(asked), { ...input, config: { a: 1 } })
    })
  )

  it.effect("fails with the plugin's own error", () =>
    Effect.gen(function* () {
      const error = new ExecutionError({ plugin: "p", cause: { name: "Error", message: "no" } })
      assert.strictEqual(
        yield* run("p").pipe(Effect.flip, withPlugins({ p: () => Effect.fail(error) })),
        error
      )
    })
  )

  it.effect("an input that is no object, or no JSON, is the caller's mistake too", () =>
    Effect.gen(function* () {
      const runtime = yield* PluginRuntime
      const odd = makeKind({ name: "odd", method: "go", input: Schema.Unknown, output: Schema.Unknown })
      const spec = makeSpec({ name: "p", kind: odd, modulePath: "/p.ts" })
      for (const input of [undefined, null, 5, "text", [1], { big: 1n }]) {
        const error = yield* Effect.flip(runtime.run(spec, input))
        assert.instanceOf(error, ExecutionError)
        assert.strictEqual(error.cause.name, "InvalidInput")
      }
    }).pipe(withPlugins({ p: () => Effect.die("must not be asked") }))
  )

  it.effect(
    "an input that its kind refuses is the caller's mistake: it never reaches plugin or breaker",
    () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const wrong = { message: { ...input.message, content_raw: 5 as unknown as string } }
        for (let n = 0; n < 5; n++) {
          const error = yield* Effect.flip(runtime.run(specOf("p"), wrong))
          assert.instanceOf(error, ExecutionError)
          assert.strictEqual(error.cause.name, "InvalidInput")
          assert.include(error.cause.message, "the input is not a linkifier's")
          assert.include(error.cause.message, "content_raw")
        }
        assert.strictEqual((yield* (yield* CircuitBreaker).states).size, 0)
      }).pipe(withPlugins({ p: () => Effect.die("must not run") }))
  )

  it.effect("a name that layerTest does not know is a LOAD_ERROR that lists those it does", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run("urls"))
      assert.instanceOf(error, LoadError)
      assert.include(error.reason, '"a", "b"')
    }).pipe(withPlugins({ a: () => Effect.succeed([]), b: () => Effect.succeed([]) }))
  )
})

describe("Runtime: load", () => {
  it.effect(
    "says what the plugin calls itself, or why it cannot be loaded, and leaves the breaker alone",
    () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        assert.deepStrictEqual(yield* runtime.load(specOf("p")), {
          name: "p",
          version: "test",
          methods: ["enrich"]
        })
        assert.instanceOf(yield* Effect.flip(runtime.load(specOf("q"))), LoadError)
        assert.strictEqual((yield* (yield* CircuitBreaker).states).size, 0)
      }).pipe(withPlugins({ p: () => Effect.die("must not run") }))
  )
})

describe("Runtime: runAll", () => {
  it.effect("keeps the order of the specs, in any order of completion", () =>
    Effect.gen(function* () {
      const runtime = yield* PluginRuntime
      const specs = ["slow", "quick", "broken", "missing"].map((name) => specOf(name))
      const fiber = yield* start(runtime.runAll(specs, input))
      yield* TestClock.adjust("1 second")
      const results = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        results.map(({ spec, result }) => [spec, Result.isSuccess(result) ? "OK" : result.failure._tag]),
        [
          [specs[0], "OK"],
          [specs[1], "OK"],
          [specs[2], "WORKER_CRASH"],
          [specs[3], "LOAD_ERROR"]
        ]
      )
    }).pipe(
      withPlugins({
        slow: () => Effect.delay(Effect.succeed(found), "1 second"),
        quick: () => Effect.succeed([]),
        broken: () => crash("broken")
      })
    )
  )

  it.effect.each([
    ["8 at once", undefined, 8],
    ["3 at once", { concurrency: 3 }, 3],
    ["one after another", { concurrency: 1 }, 1]
  ] as const)("%s", ([, options, expected]) =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      const names = Array.from({ length: 20 }, (_, n) => `p${n}`)
      yield* Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const fiber = yield* start(
          runtime.runAll(
            names.map((name) => specOf(name)),
            input,
            options
          )
        )
        assert.strictEqual(gate.seen().running, expected)
        yield* gate.release
        const results = yield* Fiber.join(fiber)
        assert.isTrue(results.every(({ result }) => Result.isSuccess(result)))
        assert.deepStrictEqual(gate.seen(), { started: 20, running: 0, most: expected, interrupted: 0 })
      }).pipe(withPlugins(Object.fromEntries(names.map((name) => [name, gate.plugin]))))
    })
  )

  it.effect("takes plugins of several kinds, and of none", () =>
    Effect.gen(function* () {
      const runtime = yield* PluginRuntime
      const specs = [specOf("l"), makeSpec({ name: "x", kind: extractor, modulePath: "/plugins/x.ts" })]
      const results = yield* runtime.runAll(specs, input)
      assert.deepStrictEqual(
        results.map(({ result }) => Result.getOrThrow(result)),
        [found, [{ kind: "k", value_json: {} }]]
      )
      assert.deepStrictEqual(yield* runtime.runAll(specs.slice(2), input), [])
    }).pipe(
      withPlugins({
        l: () => Effect.succeed(found),
        x: () => Effect.succeed([{ kind: "k", value_json: {} }])
      })
    )
  )
})

describe("Runtime: a plugin's queue", () => {
  it.effect.each([1, 3])("as many runs at once as the spec says: %i", (concurrency) =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      yield* Effect.gen(function* () {
        const runs = yield* Effect.replicateEffect(start(run("p", { concurrency })), 10)
        assert.strictEqual(gate.seen().running, concurrency)
        yield* gate.release
        yield* Fiber.joinAll(runs)
        assert.deepStrictEqual(gate.seen(), { started: 10, running: 0, most: concurrency, interrupted: 0 })
      }).pipe(withPlugins({ p: gate.plugin }))
    })
  )

  it.effect("first come, first served; another plugin does not wait in it", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      yield* Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const numbers = Array.from({ length: 5 }, (_, n) => String(n))
        const fibers = yield* Effect.forEach(numbers, (text) =>
          start(runtime.run(specOf("p"), { message: messageOf(text) }))
        )
        yield* run("other")
        assert.deepStrictEqual(order, [])
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.joinAll(fibers)
        assert.deepStrictEqual(order, numbers)
      }).pipe(
        withPlugins({
          other: () => Effect.succeed([]),
          p: (given) =>
            Effect.sleep("1 second").pipe(
              Effect.andThen(Effect.sync(() => order.push((given as typeof input).message.content_raw))),
              Effect.as([])
            )
        })
      )
    })
  )

  it.effect("a run that is interrupted while it waits never starts", () =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      yield* Effect.gen(function* () {
        const first = yield* start(run("p"))
        const second = yield* start(run("p"))
        yield* Fiber.interrupt(second)
        yield* gate.release
        yield* Fiber.join(first)
        assert.strictEqual(gate.seen().started, 1)
        yield* run("p")
      }).pipe(withPlugins({ p: gate.plugin }))
    })
  )
})

describe("Runtime: deadline", () => {
  it.effect("TIMEOUT comes at the spec's timeout, not before, and stops the plugin", () =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      yield* Effect.gen(function* () {
        const fiber = yield* start(Effect.flip(run("p", { timeout: "2 seconds" })))
        yield* TestClock.adjust("1999 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const error = yield* Fiber.join(fiber)
        assert.instanceOf(error, PluginTimeout)
        assert.strictEqual(Duration.toMillis(error.timeout), 2_000)
        assert.strictEqual(error.phase, "run")
        assert.strictEqual(gate.seen().interrupted, 1)
      }).pipe(withPlugins({ p: gate.plugin }))
    })
  )

  it.effect("is 5 seconds by default", () =>
    Effect.gen(function* () {
      const fiber = yield* start(Effect.flip(run("p")))
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.instanceOf(yield* Fiber.join(fiber), PluginTimeout)
    }).pipe(withPlugins({ p: () => Effect.never }))
  )

  it.effect("does not count the wait in the queue", () =>
    Effect.gen(function* () {
      const fibers = yield* Effect.replicateEffect(start(run("p", { timeout: "2 seconds" })), 4)
      // The last waits for six seconds, three times its timeout.
      yield* TestClock.adjust("8 seconds")
      assert.deepStrictEqual(yield* Fiber.joinAll(fibers), [found, found, found, found])
    }).pipe(withPlugins({ p: () => Effect.delay(Effect.succeed(found), "1999 millis") }))
  )
})

describe("Runtime: interruption", () => {
  it.effect("stops the plugin at once, frees its place and counts nothing", () =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      yield* Effect.gen(function* () {
        const breaker = yield* CircuitBreaker
        for (let n = 0; n < 5; n++) {
          const fiber = yield* start(run("p"))
          yield* Fiber.interrupt(fiber)
          const exit = yield* Fiber.await(fiber)
          assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        }
        assert.deepStrictEqual(gate.seen(), { started: 5, running: 0, most: 1, interrupted: 5 })
        assert.deepStrictEqual(yield* breaker.state("p"), { _tag: "Closed", failures: 0 })
        yield* gate.release
        assert.deepStrictEqual(yield* run("p"), found)
      }).pipe(withPlugins({ p: gate.plugin }))
    })
  )

  it.effect("a caller's own timeout is one", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      const fiber = yield* start(Effect.timeoutOption(run("p"), "1 second"))
      yield* TestClock.adjust("1 second")
      assert.isTrue(Option.isNone(yield* Fiber.join(fiber)))
      assert.deepStrictEqual(yield* breaker.state("p"), { _tag: "Closed", failures: 0 })
    }).pipe(withPlugins({ p: () => Effect.never }))
  )
})

describe("Runtime: breaker", () => {
  it.effect("three failures open the circuit: nothing runs until the cooldown is over, then one probe", () =>
    Effect.gen(function* () {
      let runs = 0
      let broken = true
      yield* Effect.gen(function* () {
        for (let n = 0; n < 3; n++) assert.instanceOf(yield* Effect.flip(run("p")), WorkerCrash)
        const refused = yield* Effect.flip(run("p"))
        assert.instanceOf(refused, CircuitOpen)
        assert.strictEqual(refused.failures, 3)
        assert.strictEqual(Duration.toSeconds(refused.retryAfter), 60)
        assert.deepStrictEqual(yield* run("other"), [])
        yield* TestClock.adjust("59999 millis")
        assert.instanceOf(yield* Effect.flip(run("p")), CircuitOpen)
        assert.strictEqual(runs, 3)
        yield* TestClock.adjust("1 millis")
        assert.instanceOf(yield* Effect.flip(run("p")), WorkerCrash)
        assert.instanceOf(yield* Effect.flip(run("p")), CircuitOpen)
        assert.strictEqual(runs, 4)
        yield* TestClock.adjust("60 seconds")
        broken = false
        assert.deepStrictEqual(yield* run("p"), found)
        assert.deepStrictEqual(yield* run("p"), found)
      }).pipe(
        withPlugins({
          other: () => Effect.succeed([]),
          p: () =>
            Effect.suspend(() => {
              runs++
              return broken ? crash("p") : Effect.succeed(found)
            })
        })
      )
    })
  )

  it.effect.each<readonly [string, FakePlugin]>([
    ["an invalid output", () => Effect.succeed([{ kind: " " }])],
    ["an output that is no JSON", () => Effect.succeed(undefined)],
    ["a throw", () => Effect.fail(new ExecutionError({ plugin: "p", cause: { name: "E", message: "m" } }))],
    ["a load error", () => Effect.fail(new LoadError({ plugin: "p", modulePath: "/p.ts", reason: "r" }))]
  ])("%s counts", ([, plugin]) =>
    Effect.gen(function* () {
      yield* Effect.flip(run("p"))
      assert.deepStrictEqual(yield* (yield* CircuitBreaker).state("p"), { _tag: "Closed", failures: 1 })
    }).pipe(withPlugins({ p: plugin }))
  )

  it.effect("runs that were queued when it opened are refused at once, not after a timeout each", () =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      yield* Effect.gen(function* () {
        const fibers = yield* Effect.replicateEffect(start(Effect.flip(run("p"))), 10)
        yield* TestClock.adjust("15 seconds")
        const tags = (yield* Fiber.joinAll(fibers)).map(({ _tag }) => _tag)
        assert.deepStrictEqual(tags, [...Array(3).fill("TIMEOUT"), ...Array(7).fill("CIRCUIT_OPEN")])
        assert.strictEqual(gate.seen().started, 3)
      }).pipe(withPlugins({ p: gate.plugin }))
    })
  )

  it.effect("of many that come after the cooldown exactly one runs", () =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      yield* Effect.gen(function* () {
        yield* (yield* CircuitBreaker).trip("p")
        yield* TestClock.adjust("60 seconds")
        const fibers = yield* Effect.replicateEffect(start(Effect.result(run("p", { concurrency: 5 }))), 5)
        assert.strictEqual(gate.seen().started, 1)
        yield* gate.release
        const results = yield* Fiber.joinAll(fibers)
        assert.deepStrictEqual(
          results.map((result) => (Result.isSuccess(result) ? "OK" : result.failure._tag)),
          ["OK", ...Array(4).fill("CIRCUIT_OPEN")]
        )
      }).pipe(withPlugins({ p: gate.plugin }))
    })
  )

  it.effect("a probe that is interrupted between any two of its steps frees its place", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker
      // A fiber can be interrupted where it yields: here after every few effects, at each of them in one of the rounds.
      let interrupted = 0
      for (let round = 0; round < 120; round++) {
        const steps = round % 30
        const probe = Effect.provideService(
          Effect.exit(run("p")),
          Scheduler.MaxOpsBeforeYield,
          3 + Math.floor(round / 30)
        )
        yield* breaker.trip("p")
        yield* TestClock.adjust("60 seconds")
        const fiber = yield* Effect.forkChild(probe)
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        const state = yield* breaker.state("p")
        if (state._tag === "HalfOpen") interrupted++
        assert.isFalse(state._tag === "HalfOpen" && state.probing, `round ${round}`)
      }
      assert.isAbove(interrupted, 2)
    }).pipe(withPlugins({ p: () => Effect.never }))
  )

  it.effect("a spec's policy goes before the Layer's", () =>
    Effect.gen(function* () {
      const breaker = { failureThreshold: 1, cooldown: "1 second" } as const
      assert.instanceOf(yield* Effect.flip(run("p", { breaker })), WorkerCrash)
      assert.instanceOf(yield* Effect.flip(run("p", { breaker })), CircuitOpen)
      yield* TestClock.adjust("1 second")
      assert.instanceOf(yield* Effect.flip(run("p", { breaker })), WorkerCrash)
    }).pipe(withPlugins({ p: () => crash("p") }, { failureThreshold: 100, cooldown: "1 hour" }))
  )
})

describe("Runtime: telemetry", () => {
  const spansOf = (spans: Array<Tracer.NativeSpan>) =>
    Effect.provideService(
      Tracer.Tracer,
      Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
    )

  it.effect("one span a run, in the caller's, with plugin, kind and run; it ends as the run does", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.NativeSpan> = []
      yield* Effect.all([run("good"), Effect.flip(run("bad"))]).pipe(
        Effect.withSpan("request"),
        withPlugins({ good: () => Effect.succeed([]), bad: () => crash("bad") }),
        spansOf(spans)
      )
      const request = spans.find(({ name }) => name === "request")
      const runs = spans.filter(({ name }) => name === "plugin.run")
      assert.deepStrictEqual(
        runs.map(({ attributes }) => Object.fromEntries(attributes)),
        [
          {
            "plugin.name": "good",
            "plugin.kind": "linkifier",
            "plugin.level": "thread",
            "plugin.outcome": "ok",
            "plugin.run": "good#1"
          },
          {
            "plugin.name": "bad",
            "plugin.kind": "linkifier",
            "plugin.level": "thread",
            "plugin.outcome": "worker_crash",
            "plugin.run": "bad#2"
          }
        ]
      )
      assert.deepStrictEqual(
        runs.map(({ parent }) => Option.getOrUndefined(parent)?.spanId),
        [request?.spanId, request?.spanId]
      )
      assert.deepStrictEqual(
        runs.map(({ status }) => (status._tag === "Ended" ? status.exit._tag : status._tag)),
        ["Success", "Failure"]
      )
    })
  )

  it.effect("what is logged within a run says which plugin and which run it was", () =>
    Effect.gen(function* () {
      const lines: Array<unknown> = []
      const logger = Logger.make(({ message, fiber }) => {
        lines.push([message, fiber.getRef(References.CurrentLogAnnotations)])
      })
      yield* Effect.gen(function* () {
        yield* run("p")
        yield* run("q")
        yield* Effect.log("outside")
      }).pipe(
        withPlugins({
          p: () => Effect.as(Effect.log("from p"), []),
          q: () => Effect.as(Effect.logError("from q"), [])
        }),
        Effect.annotateLogs({ request: "r1" }),
        Effect.provide(Logger.layer([logger]))
      )
      assert.deepStrictEqual(lines, [
        [["from p"], { request: "r1", plugin: "p", run: "p#1" }],
        [["from q"], { request: "r1", plugin: "q", run: "q#2" }],
        [["outside"], { request: "r1" }]
      ])
    })
  )
})
