/** Formats the metrics as text without blocking other requests: 200 plugins have 13,000 lines. */
import { Context, Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"

/** Takes far less than a millisecond to write. */
const seriesAtATime = 32

/** Milliseconds of writing before other requests run. `impatience` applies once a scrape has taken `long`. */
const patience = 5
const impatience = 25
const long = 1_000

const withoutHeader = (text: string): string =>
  text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n")

/** Groups the series of a registry by their metric. */
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
      // Keep the header of a metric only at its first part.
      parts.push(at === 0 ? text : withoutHeader(text))
      const now = performance.now()
      if (now - since < (now - begun < long ? patience : impatience)) continue
      yield* Effect.yieldNow
      since = performance.now()
    }
  }
  return parts.join("")
})
