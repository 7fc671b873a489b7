/** How a plugin fares, as the API says it. Times are in milliseconds; all counts are since the hub started. */
import type { ConfiguredSpec, PluginReport, Quantiles } from "@agentlip/plugin-runtime"
import { Duration, Schema } from "effect"
import { PluginStatus } from "../core/Model.ts"

/** Quantiles are at most 1/16 above the real ones; zeros where nothing was measured. */
const Times = Schema.Struct({
  count: Schema.Int,
  p50: Schema.Finite,
  p95: Schema.Finite,
  p99: Schema.Finite,
  max: Schema.Finite
})

/** A configured plugin and how its runs went. */
export const PluginSummary = Schema.Struct({
  ...PluginStatus.fields,
  /** By outcome: `ok`, `interrupted`, `defect`, or the code of the error in lower case. */
  runs: Schema.Record(Schema.String, Schema.Int),
  /** From when an isolate began a run. */
  run_ms: Times,
  /** What a run waited for an isolate to begin it. */
  queue_ms: Times
})
export type PluginSummary = typeof PluginSummary.Type

/** An error of a run; `error` is the plugin error in full, without what its config or its environment says. */
export const PluginFailure = Schema.Struct({
  at: Schema.String,
  code: Schema.String,
  message: Schema.String,
  error: Schema.Json
})
export type PluginFailure = typeof PluginFailure.Type

/** All there is to know of one plugin, but its config, which may hold secrets. */
export const PluginDetails = Schema.Struct({
  ...PluginSummary.fields,
  module_path: Schema.String,
  timeout_ms: Schema.Finite,
  reuse: Schema.Literals(["plugin", "never"]),
  concurrency: Schema.Int,
  /** By their names in the config file. */
  limits: Schema.Record(Schema.String, Schema.Finite),
  load_ms: Times,
  bytes_in: Schema.Finite,
  bytes_out: Schema.Finite,
  cache: Schema.Struct({ hits: Schema.Int, misses: Schema.Int }),
  /** 0 where the level cannot tell. */
  cpu_ms: Schema.Finite,
  /** The most that an isolate held; 0 where the level cannot tell. */
  peak_memory_bytes: Schema.Finite,
  /** Newest first, at most 10, without refusals by an open circuit. */
  last_errors: Schema.Array(PluginFailure)
})
export type PluginDetails = typeof PluginDetails.Type

/** To the microsecond: what is beyond is no measurement. */
const rounded = (millis: number): number => Math.round(millis * 1000) / 1000

const timesOf = ({ count, p50, p95, p99, max }: Quantiles): typeof Times.Type => ({
  count,
  p50: rounded(p50),
  p95: rounded(p95),
  p99: rounded(p99),
  max: rounded(max)
})

export const summaryOf = (status: PluginStatus, report: PluginReport): PluginSummary => ({
  ...status,
  runs: report.runs,
  run_ms: timesOf(report.runMillis),
  queue_ms: timesOf(report.queueMillis)
})

/** What is of the spec and the report, and not in the summary. */
export const restOf = (
  spec: ConfiguredSpec,
  report: PluginReport
): Omit<PluginDetails, keyof PluginSummary | "last_errors"> => ({
  module_path: spec.modulePath,
  timeout_ms: Duration.toMillis(spec.timeout),
  reuse: spec.reuse,
  concurrency: spec.concurrency,
  limits: Object.fromEntries(Object.entries(spec.limits).filter(([, limit]) => limit !== undefined)),
  load_ms: timesOf(report.loadMillis),
  bytes_in: report.bytesIn,
  bytes_out: report.bytesOut,
  cache: { hits: report.cacheHits, misses: report.cacheMisses },
  cpu_ms: rounded(report.cpuMillis),
  peak_memory_bytes: report.peakMemory
})
