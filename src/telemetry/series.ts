/** Effect metrics whose value is computed when they are read. */
import { type Context, Metric } from "effect"
import type { Latencies } from "./Latencies.ts"

/** Name, meaning and unit of every metric. docs/operations.md has the same list. */
export const definitions = {
  runs: {
    name: "agentlip_plugin_runs_total",
    description: "Runs that have ended, by outcome: ok, interrupted, defect, or the code of the error."
  },
  ran: {
    name: "agentlip_plugin_run_seconds",
    description: "How long runs took, from when an isolate began them.",
    unit: "seconds"
  },
  queued: {
    name: "agentlip_plugin_queue_seconds",
    description: "How long runs waited for an isolate to begin them.",
    unit: "seconds"
  },
  bytes: {
    name: "agentlip_plugin_bytes_total",
    description: "JSON that went to plugins (in) and came from them (out).",
    unit: "bytes"
  },
  leftovers: {
    name: "agentlip_plugin_leftovers_total",
    description: "Runs that left a timer, a socket or a changed global behind and cost their isolate."
  },
  cpu: {
    name: "agentlip_plugin_cpu_seconds_total",
    description: "Processor time of plugins, where their level can tell.",
    unit: "seconds"
  },
  memory: {
    name: "agentlip_plugin_memory_peak_bytes",
    description: "The most memory that an isolate of the plugin was seen to hold, where its level can tell.",
    unit: "bytes"
  },
  cache: {
    name: "agentlip_cache_requests_total",
    description: "Runs that asked the result cache first, by whether it had the answer."
  },
  breakerState: {
    name: "agentlip_breaker_state",
    description: "0 closed, 1 half open, 2 open."
  },
  breakerTransitions: {
    name: "agentlip_breaker_transitions_total",
    description: "How often a circuit went to a state."
  },
  boot: {
    name: "agentlip_isolate_boot_seconds",
    description: "How long isolates took to boot, before any plugin.",
    unit: "seconds"
  },
  load: {
    name: "agentlip_plugin_load_seconds",
    description: "How long plugins took to load in a booted isolate.",
    unit: "seconds"
  },
  isolates: {
    name: "agentlip_isolates",
    description: "Isolates there are now: booting, spare, idle, busy, or zombie."
  }
} as const

type Name = keyof typeof definitions

export type Labels = { readonly [name: string]: string }

const optionsOf = (name: Name, labels: Labels) => {
  const definition: { readonly description: string; readonly unit?: string } = definitions[name]
  const { description, unit } = definition
  // Effect's exporters take the unit from this attribute; the Prometheus text leaves it out.
  return { description, attributes: unit === undefined ? labels : { ...labels, unit } }
}

const ignored = (): void => {
  // These series are only read: there is nothing that Metric.update could add to them.
}

/** Adds series to the registry of a context, where they stay. A series replaces one of the same name and labels. */
export class Series {
  readonly #context: Context.Context<never>

  constructor(context: Context.Context<never>) {
    this.#context = context
  }

  counter(name: Name, labels: Labels, read: () => number): void {
    const metric = Metric.counter(definitions[name].name, { ...optionsOf(name, labels), incremental: true })
    this.#register(metric, () => ({ count: read(), incremental: true }))
  }

  gauge(name: Name, labels: Labels, read: () => number): void {
    this.#register(Metric.gauge(definitions[name].name, optionsOf(name, labels)), () => ({ value: read() }))
  }

  histogram(name: Name, labels: Labels, latencies: Latencies): void {
    const metric = Metric.histogram(definitions[name].name, { ...optionsOf(name, labels), boundaries: [] })
    this.#register(metric, () => latencies.histogram())
  }

  #register<Input, State>(metric: Metric.Metric<Input, State>, get: () => State): void {
    Metric.registerUnsafe(metric, this.#context, { get, update: ignored, modify: ignored })
  }
}
