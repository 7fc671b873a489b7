import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { scrape } from "../src/http/Scrape.ts"

describe("the text", () => {
  it.live("is what Effect writes in one go, with every family described once, and lets others run", () =>
    Effect.gen(function* () {
      for (let plugin = 0; plugin < 2_000; plugin++) {
        const attributes = { plugin: `${plugin}` }
        yield* Metric.update(Metric.counter("one", { description: "# a\n# b", attributes }), plugin)
        yield* Metric.update(Metric.histogram("other", { boundaries: [1, 2], attributes }), plugin)
      }
      // Requests are answered in turns of the event loop like these.
      let turns = 0
      const turn = () => {
        turns++
        next = setImmediate(turn)
      }
      let next = setImmediate(turn)
      const text = yield* scrape
      clearImmediate(next)
      assert.isAtLeast(turns, 3)
      assert.strictEqual(text, yield* PrometheusMetrics.format())
    }).pipe((test) => Effect.suspend(() => Effect.provideService(test, Metric.MetricRegistry, new Map())))
  )
})
