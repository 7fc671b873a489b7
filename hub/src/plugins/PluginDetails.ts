/** The API's report about a plugin. Times are in milliseconds. Counts start with the hub. */
import type { ConfiguredSpec, PluginReport, Quantiles } from "@agentlip/plugin-runtime"
import type { PluginDetails, PluginStatus, PluginSummary, Times } from "@agentlip/protocol"
import { Duration } from "effect"

/** Rounds to microseconds, the useful precision. */
export const rounded = (millis: number): number => Math.round(millis * 1000) / 1000

const timesOf = ({ count, p50, p95, p99, max }: Quantiles): Times => ({
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

/** The fields of the details that the summary lacks. */
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
