/** Counters of one plugin. They are plain numbers, so that counting costs almost nothing. */
import type { PluginError, PluginErrorCode } from "../Errors.ts"
import { Latencies } from "./Latencies.ts"

/** How a run ended: its error, or one of the outcomes that are no error of the plugin. */
export type RunOutcome = "ok" | "interrupted" | "defect" | PluginError

/** A `RunOutcome` as a label: an error's code is in lower case. */
export type OutcomeLabel = Exclude<RunOutcome, PluginError> | Lowercase<PluginErrorCode>

const codeLabels: { readonly [Code in PluginErrorCode]: Lowercase<Code> } = {
  TIMEOUT: "timeout",
  WORKER_CRASH: "worker_crash",
  INVALID_OUTPUT: "invalid_output",
  CIRCUIT_OPEN: "circuit_open",
  LOAD_ERROR: "load_error",
  EXECUTION_ERROR: "execution_error"
}

export const labelOf = (outcome: RunOutcome): OutcomeLabel =>
  typeof outcome === "string" ? outcome : codeLabels[outcome._tag]

export const outcomeLabels: ReadonlyArray<OutcomeLabel> = [
  "ok",
  "interrupted",
  "defect",
  ...Object.values(codeLabels)
]

/** A run that has ended. */
export interface EndedRun {
  readonly outcome: RunOutcome
  /** Milliseconds from the caller's `run` until an isolate began it; `undefined` if none did. */
  readonly queued: number | undefined
  /** Milliseconds since an isolate began the run; `undefined` if none did. */
  readonly ran: number | undefined
  /** Length of the input's JSON, in UTF-8 bytes or UTF-16 units; 0 if it was not sent. */
  readonly bytesIn: number
  /** Length of the output's JSON; 0 if there was none. */
  readonly bytesOut: number
}

export class Counts {
  readonly outcomes: { [Label in OutcomeLabel]: number } = {
    ok: 0,
    interrupted: 0,
    defect: 0,
    timeout: 0,
    worker_crash: 0,
    invalid_output: 0,
    circuit_open: 0,
    load_error: 0,
    execution_error: 0
  }
  readonly queued = new Latencies()
  readonly ran = new Latencies()
  bytesIn = 0
  bytesOut = 0
  leftovers = 0
  cacheHits = 0
  cacheMisses = 0
  cpuMillis = 0
  peakMemory = 0
  /** Whether these metrics exist: plugins without values have none. */
  usage = false
  cache = false

  ended(label: OutcomeLabel, run: EndedRun): void {
    this.outcomes[label]++
    if (run.queued !== undefined) this.queued.add(run.queued)
    if (run.ran !== undefined) this.ran.add(run.ran)
    this.bytesIn += run.bytesIn
    this.bytesOut += run.bytesOut
  }

  used(cpuMillis: number, memoryBytes: number): void {
    this.cpuMillis += cpuMillis
    if (memoryBytes > this.peakMemory) this.peakMemory = memoryBytes
  }

  cached(hit: boolean): void {
    if (hit) this.cacheHits++
    else this.cacheMisses++
  }
}
