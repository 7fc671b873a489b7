import { assert, describe, it } from "@effect/vitest"
import {
  Arbitrary,
  Cause,
  Context,
  Duration,
  Effect,
  Exit,
  Layer,
  Metric,
  Option,
  Schema,
  Tracer
} from "effect"
import { PrometheusMetrics } from "effect/observability"
import { TestClock } from "effect/testing"
import { fileURLToPath } from "node:url"
import { CircuitBreaker } from "../src/CircuitBreaker.ts"
import { CircuitOpen, ExecutionError, PluginTimeout } from "../src/Errors.ts"
import { metricsLayer, outcomeOf, PluginMetrics, PluginStats, type RunOutcome } from "../src/Metrics.ts"
import { makeSpec } from "../src/Plugin.ts"
import { linkifier } from "../src/PluginKinds.ts"
import { PluginRuntime } from "../src/Runtime.ts"
import { Latencies } from "../src/telemetry/Latencies.ts"
import { traceparentOf, withRunSpan } from "../src/telemetry/tracing.ts"
import { watchBreaker } from "../src/telemetry/watchBreaker.ts"
import { WorkerLayer } from "../src/WorkerLayer.ts"
import { message } from "./support/isolation.ts"

const spec = makeSpec({ name: "urls", kind: linkifier, modulePath: "/srv/urls.ts" })
const timeout = new PluginTimeout({ plugin: "urls", timeout: Duration.seconds(5), phase: "run" })
const refused = new CircuitOpen({ plugin: "urls", failures: 3, retryAfter: Duration.seconds(1) })

const run = (outcome: RunOutcome) => ({ outcome, queued: 1, ran: 2, bytesIn: 10, bytesOut: 3 })

/** Both sides, with metrics in a registry of the test's own. */
const measured = Layer.build(metricsLayer).pipe(
  Effect.map((services) => ({
    metrics: Context.get(services, PluginMetrics),
    stats: Context.get(services, PluginStats)
  }))
)
const ownRegistry = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => Effect.provideService(test, Metric.MetricRegistry, new Map()))

/** The value of one line of the text that scrapers get. */
const scraped = (text: string, series: string): number | undefined => {
  const line = text.split("\n").find((line) => line.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

describe("latencies", () => {
  const Millis = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 60_000 }))

  it.effect.prop(
    "quantiles are at most a sixteenth above the real ones, and never below",
    { times: Arbitrary.array(Arbitrary.schema(Millis), { minLength: 1, maxLength: 300 }) },
    ({ times }) =>
      Effect.sync(() => {
        const latencies = new Latencies()
        for (const time of times) latencies.add(time)
        const sorted = times.toSorted((one, other) => one - other)
        const found = latencies.quantiles()
        for (const [share, value] of [
          [0.5, found.p50],
          [0.95, found.p95],
          [0.99, found.p99]
        ] as const) {
          const real = sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN
          assert.isAtLeast(value, real)
          // Below 16 µs the buckets are a microsecond each.
          assert.isAtMost(value, Math.max(real * (1 + 1 / 16), real + 0.001) + 1e-9)
        }
        assert.strictEqual(found.max, sorted.at(-1))
        assert.strictEqual(found.count, times.length)
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "each boundary of the histogram counts what is not above it, exactly",
    { times: Arbitrary.array(Arbitrary.schema(Millis), { maxLength: 200 }) },
    ({ times }) =>
      Effect.sync(() => {
        const latencies = new Latencies()
        // The boundaries themselves too: they are part of what is below them.
        const all = [...times, 0.064, 1.024, 33_554.432]
        for (const time of all) latencies.add(time)
        const { buckets, count } = latencies.histogram()
        assert.strictEqual(count, all.length)
        for (const [boundary, seen] of buckets) {
          assert.strictEqual(seen, all.filter((time) => time / 1000 <= boundary).length, `${boundary}`)
        }
      }),
    { arbitrary: { runs: 300 } }
  )

  it("what is no duration counts as none, and what is too long as the longest", () => {
    const latencies = new Latencies()
    for (const time of [-1, Number.NaN, Infinity]) latencies.add(time)
    assert.strictEqual(latencies.quantiles().count, 3)
    assert.strictEqual(latencies.quantiles().p50, 0.001)
  })
})

describe("PluginStats", () => {
  it.effect("counts runs by outcome, and keeps the last errors, newest first, without refusals", () =>
    Effect.gen(function* () {
      const { metrics, stats } = yield* measured
      const recorder = metrics.of(spec)
      for (let i = 0; i < 3; i++) recorder.ended(run("ok"))
      recorder.ended(run("interrupted"))
      recorder.ended({ outcome: refused, queued: undefined, ran: undefined, bytesIn: 0, bytesOut: 0 })
      for (let at = 1; at <= 12; at++) {
        yield* TestClock.adjust(1000)
        recorder.ended(
          run(
            at % 2 === 0
              ? timeout
              : new ExecutionError({ plugin: "urls", cause: { name: "E", message: `${at}` } })
          )
        )
      }
      const report = yield* stats.of("urls")
      assert.deepStrictEqual(
        Object.entries(report.runs).filter(([, count]) => count > 0),
        [
          ["ok", 3],
          ["interrupted", 1],
          ["timeout", 6],
          ["circuit_open", 1],
          ["execution_error", 6]
        ]
      )
      assert.deepStrictEqual(
        report.lastErrors.map(({ at, error }) => [at, error._tag]),
        Array.from({ length: 10 }, (_, i) => [(12 - i) * 1000, i % 2 === 0 ? "TIMEOUT" : "EXECUTION_ERROR"])
      )
      assert.deepStrictEqual([report.bytesIn, report.bytesOut], [160, 48])
      // A refusal neither waited nor ran.
      assert.deepStrictEqual([report.runMillis.count, report.queueMillis.count], [16, 16])
    }).pipe(ownRegistry)
  )

  it.effect("is of its own Layer, by name; a name that never ran has zeros", () =>
    Effect.gen(function* () {
      const one = yield* measured
      const other = yield* measured
      one.metrics.of(spec).ended(run("ok"))
      one.metrics.of({ ...spec, isolation: "wasm" }).ended(run("ok"))
      assert.strictEqual((yield* one.stats.of("urls")).runs.ok, 2)
      assert.strictEqual((yield* other.stats.of("urls")).runs.ok, 0)
      assert.deepStrictEqual([...(yield* one.stats.all).keys()], ["urls"])
      assert.strictEqual((yield* other.stats.all).size, 0)
    }).pipe(ownRegistry)
  )

  it("an exit counts as what it is", () => {
    assert.strictEqual(outcomeOf(Exit.succeed(1)), "ok")
    assert.strictEqual(outcomeOf(Exit.fail(timeout)), timeout)
    assert.strictEqual(outcomeOf(Exit.interrupt()), "interrupted")
    assert.strictEqual(outcomeOf(Exit.die("bug")), "defect")
    assert.strictEqual(
      outcomeOf(Exit.failCause(Cause.combine(Cause.fail(timeout), Cause.interrupt()))),
      timeout
    )
  })
})

describe("metrics", () => {
  const labels = 'plugin="urls",kind="linkifier",level="thread"'

  it.effect("are in the text for scrapers, with bounded labels, and every outcome from the start", () =>
    Effect.gen(function* () {
      const { metrics } = yield* measured
      const recorder = metrics.of(spec)
      recorder.ended(run("ok"))
      recorder.ended(run(timeout))
      const text = yield* PrometheusMetrics.format()
      assert.strictEqual(scraped(text, `agentlip_plugin_runs_total{${labels},outcome="ok"}`), 1)
      assert.strictEqual(scraped(text, `agentlip_plugin_runs_total{${labels},outcome="timeout"}`), 1)
      assert.strictEqual(scraped(text, `agentlip_plugin_runs_total{${labels},outcome="load_error"}`), 0)
      assert.strictEqual(scraped(text, `agentlip_plugin_run_seconds_count{${labels}}`), 2)
      assert.strictEqual(scraped(text, `agentlip_plugin_run_seconds_sum{${labels}}`), 0.004)
      assert.strictEqual(scraped(text, `agentlip_plugin_run_seconds_bucket{${labels},le="0.001024"}`), 0)
      assert.strictEqual(scraped(text, `agentlip_plugin_run_seconds_bucket{${labels},le="0.002048"}`), 2)
      assert.strictEqual(scraped(text, `agentlip_plugin_queue_seconds_bucket{${labels},le="0.001024"}`), 2)
      assert.strictEqual(scraped(text, `agentlip_plugin_bytes_total{${labels},direction="in"}`), 20)
      assert.strictEqual(scraped(text, `agentlip_plugin_bytes_total{${labels},direction="out"}`), 6)
      assert.include(text, "# TYPE agentlip_plugin_runs_total counter")
      assert.include(text, "# TYPE agentlip_plugin_run_seconds histogram")
    }).pipe(ownRegistry)
  )

  it.effect("usage and cache have series only for plugins with values", () =>
    Effect.gen(function* () {
      const { metrics, stats } = yield* measured
      const recorder = metrics.of(spec)
      recorder.ended(run("ok"))
      const before = yield* PrometheusMetrics.format()
      assert.notInclude(before, "cpu_seconds")
      assert.notInclude(before, "agentlip_cache")
      recorder.used(1500, 2048)
      recorder.used(500, 1024)
      recorder.cached(true)
      recorder.cached(false)
      recorder.cached(true)
      const text = yield* PrometheusMetrics.format()
      assert.strictEqual(scraped(text, `agentlip_plugin_cpu_seconds_total{${labels}}`), 2)
      assert.strictEqual(scraped(text, `agentlip_plugin_memory_peak_bytes{${labels}}`), 2048)
      assert.strictEqual(scraped(text, `agentlip_cache_requests_total{${labels},result="hit"}`), 2)
      assert.strictEqual(scraped(text, `agentlip_cache_requests_total{${labels},result="miss"}`), 1)
      const { cpuMillis, peakMemory, cacheHits, cacheMisses } = yield* stats.of("urls")
      assert.deepStrictEqual([cpuMillis, peakMemory, cacheHits, cacheMisses], [2000, 2048, 2, 1])
    }).pipe(ownRegistry)
  )

  it.effect("two runtimes of a process add up in one series, and its isolates go with their pool", () =>
    Effect.gen(function* () {
      const one = yield* measured
      const other = yield* measured
      one.metrics.of(spec).ended(run("ok"))
      other.metrics.of(spec).ended(run("ok"))
      one.metrics.isolates("thread").booted(30)
      other.metrics.of(spec).loaded(40)
      const busy = () => ({ booting: 0, spare: 2, idle: 0, busy: 1, zombie: 0 })
      const isolates = (text: string) =>
        (["spare", "busy"] as const).map((state) =>
          scraped(text, `agentlip_isolates{level="thread",state="${state}"}`)
        )
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* one.metrics.isolates("thread").watch(busy)
          yield* Effect.scoped(other.metrics.isolates("thread").watch(() => busy()))
          yield* other.metrics.isolates("thread").watch(() => busy())
          assert.deepStrictEqual(isolates(yield* PrometheusMetrics.format()), [4, 2])
        })
      )
      const text = yield* PrometheusMetrics.format()
      assert.deepStrictEqual(isolates(text), [0, 0])
      assert.strictEqual(scraped(text, `agentlip_plugin_runs_total{${labels},outcome="ok"}`), 2)
      assert.strictEqual(scraped(text, `agentlip_isolate_boot_seconds_sum{level="thread"}`), 0.03)
      assert.strictEqual(scraped(text, `agentlip_plugin_load_seconds_sum{level="thread"}`), 0.04)
    }).pipe(ownRegistry)
  )

  it.effect("names that would break the text are escaped", () =>
    Effect.gen(function* () {
      const { metrics } = yield* measured
      metrics.of({ ...spec, name: 'a"\n\\b' }).ended(run("ok"))
      const text = yield* PrometheusMetrics.format()
      assert.include(text, 'plugin="a\\"\\n\\\\b",kind="linkifier",level="thread",outcome="ok"} 1')
    }).pipe(ownRegistry)
  )
})

describe("circuits", () => {
  it.effect("have their state and their transitions in the metrics", () =>
    Effect.gen(function* () {
      const services = yield* Layer.build(
        Layer.merge(metricsLayer, CircuitBreaker.layer({ failureThreshold: 1, cooldown: "1 minute" }))
      )
      yield* Effect.provideContext(watchBreaker, services)
      const breaker = Context.get(services, CircuitBreaker)
      const fail = Effect.exit(breaker.protect("urls")(Effect.fail(timeout)))
      const series = Effect.gen(function* () {
        // The transitions are read by a fiber of their own.
        yield* Effect.yieldNow
        yield* TestClock.adjust(0)
        const text = yield* PrometheusMetrics.format()
        const to = (state: string) =>
          scraped(text, `agentlip_breaker_transitions_total{plugin="urls",to="${state}"}`)
        return [
          scraped(text, 'agentlip_breaker_state{plugin="urls"}'),
          to("open"),
          to("half_open"),
          to("closed")
        ]
      })
      yield* fail
      assert.deepStrictEqual(yield* series, [2, 1, 0, 0])
      yield* TestClock.adjust("1 minute")
      yield* fail
      assert.deepStrictEqual(yield* series, [2, 2, 1, 0])
      yield* TestClock.adjust("1 minute")
      yield* breaker.protect("urls")(Effect.void)
      assert.deepStrictEqual(yield* series, [0, 2, 2, 1])
    }).pipe(ownRegistry)
  )
})

describe("spans of runs", () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const traceparent = Effect.withFiber((fiber) => Effect.succeed(traceparentOf(fiber)))

  it.effect(
    "have the plugin, the outcome and the caller as parent, and are what the plugin's work hangs on",
    () =>
      Effect.gen(function* () {
        const given = yield* traceparent.pipe(withRunSpan(spec, "urls#1"), Effect.withSpan("caller"))
        yield* Effect.exit(Effect.fail(timeout).pipe(withRunSpan(spec, "urls#2")))
        const [caller, first, second] = spans
        assert.deepStrictEqual(
          spans.map(({ name }) => name),
          ["caller", "plugin.run", "plugin.run"]
        )
        assert.strictEqual(given, `00-${caller?.traceId}-${first?.spanId}-01`)
        assert.strictEqual(Option.getOrUndefined(first?.parent ?? Option.none())?.spanId, caller?.spanId)
        assert.deepStrictEqual(Object.fromEntries(second?.attributes ?? []), {
          "plugin.name": "urls",
          "plugin.kind": "linkifier",
          "plugin.level": "thread",
          "plugin.run": "urls#2",
          "plugin.outcome": "timeout"
        })
      }).pipe(Effect.withTracer(tracer))
  )

  it.effect("are not made where no tracer is set", () =>
    Effect.gen(function* () {
      const inside = Effect.withFiber((fiber) => Effect.succeed(fiber.cache.span))
      assert.isUndefined(yield* inside.pipe(withRunSpan(spec, "urls#1")))
      assert.isUndefined(yield* traceparent.pipe(Effect.withSpan("caller")))
    })
  )
})

describe("a runtime", () => {
  const PluginsLive = PluginRuntime.layer.pipe(
    Layer.provide(CircuitBreaker.layer()),
    Layer.provide(WorkerLayer.layerThread({ spares: 1 }))
  )
  const modulePath = fileURLToPath(new URL("../plugins/src/url-linkifier.ts", import.meta.url))

  it.live("writes down what its runs and its isolates do", () =>
    Effect.gen(function* () {
      const runtime = yield* PluginRuntime
      const urls = makeSpec({ name: "urls", kind: linkifier, modulePath })
      const missing = makeSpec({ name: "missing", kind: linkifier, modulePath: "/nowhere.ts" })
      yield* Effect.forEach(Array.from({ length: 50 }), () => runtime.run(urls, { message }), {
        concurrency: 16
      })
      for (let run = 0; run < 4; run++) yield* Effect.flip(runtime.run(missing, { message }))
      const stats = yield* PluginStats
      const { runs, runMillis, queueMillis, loadMillis, bytesIn, bytesOut } = yield* stats.of("urls")
      assert.strictEqual(runs.ok, 50)
      assert.deepStrictEqual([runMillis.count, queueMillis.count, loadMillis.count], [50, 50, 1])
      assert.isAbove(runMillis.p50, 0)
      assert.strictEqual(bytesIn, 50 * JSON.stringify({ message }).length)
      assert.strictEqual(bytesOut, 50 * "[]".length)
      const failed = yield* stats.of("missing")
      assert.deepStrictEqual([failed.runs.load_error, failed.runs.circuit_open], [3, 1])
      assert.strictEqual(failed.runMillis.count, 0)
      const text = yield* PrometheusMetrics.format()
      const isolates = (state: string) => scraped(text, `agentlip_isolates{level="thread",state="${state}"}`)
      assert.deepStrictEqual([isolates("idle"), isolates("zombie")], [1, 0])
      assert.isAtLeast(scraped(text, 'agentlip_isolate_boot_seconds_count{level="thread"}') ?? 0, 1)
      // A transition is announced to whoever follows the circuits, and reaches the metrics a moment later.
      yield* Effect.repeat(
        Effect.andThen(
          Effect.yieldNow,
          Effect.map(PrometheusMetrics.format(), (text) =>
            scraped(text, 'agentlip_breaker_state{plugin="missing"}')
          )
        ),
        { until: (state) => state === 2 }
      )
    }).pipe(Effect.provide(PluginsLive), ownRegistry)
  )
})
