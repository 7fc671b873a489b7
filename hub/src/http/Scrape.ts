/** The metrics as text, written without holding anybody up: two hundred plugins have thirteen thousand lines. */
import { Context, Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"

/** Written in far less than a millisecond. */
const seriesAtATime = 32

/** Milliseconds of writing after which requests are served. Where that has taken long, it writes for longer. */
const patience = 5
const impatience = 25
const long = 1_000

const withoutHeader = (text: string): string =>
  text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n")

/** The series of a registry by the metric they are of. */
const families = (registry: Metric.MetricRegistry): ReadonlyMap<string, Metric.MetricRegistry> => {
  const byName = new Map<string, Metric.MetricRegistry>()
  for (const [key, series] of registry) {
    const family = byName.get(series.id) ?? new Map()
    byName.set(series.id, family.set(key, series))
  }
  return byName
}

/** Prometheus' text format, version 0.0.4. */
export const scrape: Effect.Effect<string> = Effect.gen(function* () {
  const context = yield* Effect.context()
  const parts: Array<string> = []
  const begun = performance.now()
  let since = begun
  for (const family of families(Context.get(context, Metric.MetricRegistry)).values()) {
    const series = Array.from(family)
    for (let at = 0; at < series.length; at += seriesAtATime) {
      const some = new Map(series.slice(at, at + seriesAtATime))
      const text = PrometheusMetrics.formatUnsafe(Context.add(context, Metric.MetricRegistry, some))
      // A family is described once, where it begins.
      parts.push(at === 0 ? text : withoutHeader(text))
      const now = performance.now()
      if (now - since < (now - begun < long ? patience : impatience)) continue
      yield* Effect.yieldNow
      since = performance.now()
    }
  }
  return parts.join("")
})
