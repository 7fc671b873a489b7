/** What a run of a plugin may take and give. */

/** What a run may take and give; every limit is enforced, with the error named beside it. */
export interface Limits {
  /** Heap and off-heap memory of the isolate, in MiB; over it: `WORKER_CRASH`. Default 128, at most 512. */
  readonly memory: number
  /** Items in an array output; over it: `INVALID_OUTPUT`. Default 1,000. */
  readonly outputItems: number
  /** UTF-16 units of the output's JSON text; over it: `INVALID_OUTPUT`. Default 1,048,576. */
  readonly outputLength: number
  /** Nesting of the output; over it: `INVALID_OUTPUT`. Default 64, at most 500. */
  readonly outputDepth: number
  /** JSON values in the output, inner ones included; over it: `INVALID_OUTPUT`. Default 20,000. */
  readonly outputValues: number
  /** Log lines kept of one run; the rest is counted and dropped. Default 200. */
  readonly logLines: number
  /** Log characters kept of one run; the rest is counted and dropped. Default 65,536. */
  readonly logLength: number
  /** Log lines and requests that an isolate may send the host in a second; over it: `WORKER_CRASH`. Default 100,000. */
  readonly messageRate: number
  /** Bytes of a `fetch`'s response, decompressed; over it the `fetch` fails. Default 5 MiB. */
  readonly fetchBytes: number
  /** Requests of one plugin on the network at once; more wait. Default 4. */
  readonly fetchConcurrency: number
  /** Runs that may wait for their turn before `tryRun` refuses another; `run` waits in any case. Default 1,000. */
  readonly queue: number
  /** Processor time of one run, in milliseconds; over it: `WORKER_CRASH`. Default: what the timeout allows. */
  readonly cpu?: number
}

/** The most a spec may allow an isolate, in MiB. */
export const maxMemory = 512

/** The deepest output a spec may allow: a schema that calls itself would run out of stack at about 2,000. */
export const maxOutputDepth = 500

export const defaultLimits: Limits = {
  memory: 128,
  outputItems: 1_000,
  outputLength: 1024 * 1024,
  outputDepth: 64,
  outputValues: 20_000,
  logLines: 200,
  logLength: 64 * 1024,
  messageRate: 100_000,
  fetchBytes: 5 * 1024 * 1024,
  fetchConcurrency: 4,
  queue: 1_000
}
