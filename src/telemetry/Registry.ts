/**
 * The counts behind the metrics of one Effect metric registry. Runtimes that count under the same labels share a series,
 * as with any metric of Effect.
 */
import { Context, Metric } from "effect"
import type { IsolationLevel } from "../Capabilities.ts"
import { Counts, outcomeLabels } from "./Counts.ts"
import { Latencies } from "./Latencies.ts"
import * as series from "./series.ts"

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

/** The counts of an isolation level. */
export interface LevelCounts {
  readonly boots: Latencies
  readonly loads: Latencies
  /** One function per pool, called when the metrics are read. */
  readonly pools: Set<() => IsolateCounts>
}

/** The states of a circuit as labels. A label's index is the gauge's value. */
export const breakerStates = ["closed", "half_open", "open"] as const
export type BreakerLabel = (typeof breakerStates)[number]

/** The counts of a plugin's circuit. */
export interface BreakerCounts {
  state: BreakerLabel
  readonly transitions: { [State in BreakerLabel]: number }
}

/** The labels of a plugin's series. */
export type PluginLabels = {
  readonly plugin: string
  readonly kind: string
  readonly level: IsolationLevel
}

export class Registry {
  readonly #context: Context.Context<never>
  readonly #plugins = new Map<string, Counts>()
  readonly #breakers = new Map<string, BreakerCounts>()
  readonly #levels = new Map<IsolationLevel, LevelCounts>()

  private constructor(context: Context.Context<never>) {
    this.#context = context
  }

  /** The registry of a context: for its metric registry and the attributes that it adds to all metrics. */
  static of(context: Context.Context<never>): Registry {
    const metrics = Context.get(context, Metric.MetricRegistry)
    const attributes = JSON.stringify(Context.get(context, Metric.CurrentMetricAttributes))
    const all = registries.get(metrics) ?? new Map<string, Registry>()
    registries.set(metrics, all)
    const known = all.get(attributes)
    if (known !== undefined) return known
    const made = new Registry(context)
    all.set(attributes, made)
    return made
  }

  plugin(labels: PluginLabels): Counts {
    const key = JSON.stringify(labels)
    const known = this.#plugins.get(key)
    if (known !== undefined) return known
    const counts = new Counts()
    this.#plugins.set(key, counts)
    const context = this.#context
    // All outcomes exist from the start: a rate over a series that begins at 1 misses its first increase.
    for (const outcome of outcomeLabels) {
      const runs = { ...labels, outcome }
      series.counter(context, series.definitions.runs, runs, () => counts.outcomes[outcome])
    }
    series.histogram(context, series.definitions.ran, labels, counts.ran)
    series.histogram(context, series.definitions.queued, labels, counts.queued)
    series.counter(context, series.definitions.bytes, { ...labels, direction: "in" }, () => counts.bytesIn)
    series.counter(context, series.definitions.bytes, { ...labels, direction: "out" }, () => counts.bytesOut)
    series.counter(context, series.definitions.leftovers, labels, () => counts.leftovers)
    return counts
  }

  /** For plugins whose level can measure what they use. */
  usage(labels: PluginLabels, counts: Counts): void {
    if (counts.usage) return
    counts.usage = true
    series.counter(this.#context, series.definitions.cpu, labels, () => counts.cpuMillis / 1000)
    series.gauge(this.#context, series.definitions.memory, labels, () => counts.peakMemory)
  }

  /** For plugins that use the result cache. */
  cache(labels: PluginLabels, counts: Counts): void {
    if (counts.cache) return
    counts.cache = true
    const { cache } = series.definitions
    series.counter(this.#context, cache, { ...labels, result: "hit" }, () => counts.cacheHits)
    series.counter(this.#context, cache, { ...labels, result: "miss" }, () => counts.cacheMisses)
  }

  breaker(plugin: string): BreakerCounts {
    const known = this.#breakers.get(plugin)
    if (known !== undefined) return known
    const counts: BreakerCounts = { state: "closed", transitions: { closed: 0, half_open: 0, open: 0 } }
    this.#breakers.set(plugin, counts)
    const { breakerState, breakerTransitions } = series.definitions
    series.gauge(this.#context, breakerState, { plugin }, () => breakerStates.indexOf(counts.state))
    for (const to of breakerStates) {
      series.counter(this.#context, breakerTransitions, { plugin, to }, () => counts.transitions[to])
    }
    return counts
  }

  level(level: IsolationLevel): LevelCounts {
    const known = this.#levels.get(level)
    if (known !== undefined) return known
    const counts: LevelCounts = { boots: new Latencies(), loads: new Latencies(), pools: new Set() }
    this.#levels.set(level, counts)
    series.histogram(this.#context, series.definitions.boot, { level }, counts.boots)
    series.histogram(this.#context, series.definitions.load, { level }, counts.loads)
    for (const state of isolateStates) {
      series.gauge(this.#context, series.definitions.isolates, { level, state }, () =>
        Array.from(counts.pools, (pool) => pool()[state]).reduce((sum, count) => sum + count, 0)
      )
    }
    return counts
  }
}

const registries = new WeakMap<object, Map<string, Registry>>()
