/**
 * The counts behind the metrics of one Effect metric registry. Runtimes that count under the same labels share a series,
 * as with any metric of Effect.
 */
import { Context, Metric } from "effect"
import type { IsolationLevel } from "../Capabilities.ts"
import { getOrMake } from "../getOrMake.ts"
import { Counts, outcomeLabels } from "./Counts.ts"
import { Latencies } from "./Latencies.ts"
import { Series } from "./series.ts"

/** How many isolates of one level there are, by what they are doing. */
export interface IsolateCounts {
  readonly booting: number
  /** Booted, without a plugin. */
  readonly spare: number
  /** With a plugin, waiting for a run. */
  readonly idle: number
  readonly busy: number
  /** Killed, and still there. */
  readonly zombie: number
}

const isolateStates = ["booting", "spare", "idle", "busy", "zombie"] as const

export interface LevelCounts {
  readonly boots: Latencies
  readonly loads: Latencies
  /** One function per pool, called when the metrics are read. */
  readonly pools: Set<() => IsolateCounts>
}

/** The states of a circuit as labels. A label's index is the gauge's value. */
export const breakerStates = ["closed", "half_open", "open"] as const
export type BreakerLabel = (typeof breakerStates)[number]

export interface BreakerCounts {
  state: BreakerLabel
  readonly transitions: { [State in BreakerLabel]: number }
}

export type PluginLabels = {
  readonly plugin: string
  readonly kind: string
  readonly level: IsolationLevel
}

export class Registry {
  readonly #series: Series
  readonly #plugins = new Map<string, Counts>()
  readonly #breakers = new Map<string, BreakerCounts>()
  readonly #levels = new Map<IsolationLevel, LevelCounts>()

  private constructor(context: Context.Context<never>) {
    this.#series = new Series(context)
  }

  /** The registry of a context: for its metric registry and the attributes that it adds to all metrics. */
  static of(context: Context.Context<never>): Registry {
    const metrics = Context.get(context, Metric.MetricRegistry)
    const attributes = JSON.stringify(Context.get(context, Metric.CurrentMetricAttributes))
    const all = getOrMake(registries, metrics, () => new Map<string, Registry>())
    return getOrMake(all, attributes, () => new Registry(context))
  }

  plugin(labels: PluginLabels): Counts {
    return getOrMake(this.#plugins, JSON.stringify(labels), () => {
      const counts = new Counts()
      const series = this.#series
      // All outcomes exist from the start: a rate over a series that begins at 1 misses its first increase.
      for (const outcome of outcomeLabels) {
        series.counter("runs", { ...labels, outcome }, () => counts.outcomes[outcome])
      }
      series.histogram("ran", labels, counts.ran)
      series.histogram("queued", labels, counts.queued)
      series.counter("bytes", { ...labels, direction: "in" }, () => counts.bytesIn)
      series.counter("bytes", { ...labels, direction: "out" }, () => counts.bytesOut)
      series.counter("leftovers", labels, () => counts.leftovers)
      return counts
    })
  }

  /** For plugins whose level can measure what they use. */
  usage(labels: PluginLabels, counts: Counts): void {
    if (counts.usage) return
    counts.usage = true
    this.#series.counter("cpu", labels, () => counts.cpuMillis / 1000)
    this.#series.gauge("memory", labels, () => counts.peakMemory)
  }

  /** For plugins that use the result cache. */
  cache(labels: PluginLabels, counts: Counts): void {
    if (counts.cache) return
    counts.cache = true
    this.#series.counter("cache", { ...labels, result: "hit" }, () => counts.cacheHits)
    this.#series.counter("cache", { ...labels, result: "miss" }, () => counts.cacheMisses)
  }

  breaker(plugin: string): BreakerCounts {
    return getOrMake(this.#breakers, plugin, () => {
      const counts: BreakerCounts = { state: "closed", transitions: { closed: 0, half_open: 0, open: 0 } }
      this.#series.gauge("breakerState", { plugin }, () => breakerStates.indexOf(counts.state))
      for (const to of breakerStates) {
        this.#series.counter("breakerTransitions", { plugin, to }, () => counts.transitions[to])
      }
      return counts
    })
  }

  level(level: IsolationLevel): LevelCounts {
    return getOrMake(this.#levels, level, () => {
      const counts: LevelCounts = { boots: new Latencies(), loads: new Latencies(), pools: new Set() }
      this.#series.histogram("boot", { level }, counts.boots)
      this.#series.histogram("load", { level }, counts.loads)
      for (const state of isolateStates) {
        this.#series.gauge("isolates", { level, state }, () =>
          Array.from(counts.pools, (pool) => pool()[state]).reduce((sum, count) => sum + count, 0)
        )
      }
      return counts
    })
  }
}

const registries = new WeakMap<object, Map<string, Registry>>()
