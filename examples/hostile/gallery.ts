/** The hostile plugins: on which level each runs, what it tries, and how that has to end. */
import type { IsolationLevel, PluginErrorCode } from "@agentlip/plugin-runtime"

export interface Rogue {
  readonly name: string
  /** In this folder. */
  readonly file: string
  readonly kind: "linkifier" | "extractor"
  readonly isolation: IsolationLevel
  readonly timeout: "2 seconds" | "5 seconds"
  readonly tries: string
  /** Codes that its runs may end with; `"empty"`: it runs, and nothing comes of it. */
  readonly ends: ReadonlyArray<PluginErrorCode | "empty">
}

const rogue = (
  file: string,
  tries: string,
  ends: Rogue["ends"],
  given: Partial<Pick<Rogue, "kind" | "timeout">> = {}
): Rogue => ({
  name: file,
  file: `${file}.ts`,
  kind: "linkifier",
  isolation: "process",
  timeout: "5 seconds",
  tries,
  ends,
  ...given
})

const onWasm = (given: Rogue, ends = given.ends): Rogue => ({
  ...given,
  name: `${given.name}-wasm`,
  isolation: "wasm",
  ends
})

/** Which of them comes first is the machine's to say: a busy one may reach the deadline before the limit. */
const outOfMemory: Rogue["ends"] = ["WORKER_CRASH", "TIMEOUT", "EXECUTION_ERROR", "INVALID_OUTPUT"]

const spins = rogue("spins", "never to give its core back", ["TIMEOUT"], { timeout: "2 seconds" })
const hoardsHeap = rogue("hoards-heap", "to fill V8's heap", outOfMemory)
const stealsToken = rogue("steals-token", "to read the hub's token and database", ["EXECUTION_ERROR"])

export const gallery: ReadonlyArray<Rogue> = [
  spins,
  hoardsHeap,
  rogue("hoards-memory", "to take memory off the heap", outOfMemory),
  rogue("exits", "to leave, saying that all is well", ["WORKER_CRASH"]),
  rogue("crashes", "to throw outside of its promise", ["WORKER_CRASH"], { kind: "extractor" }),
  rogue("kills-parent", "to kill the hub", ["EXECUTION_ERROR", "WORKER_CRASH"]),
  rogue("breeds", "to start processes that start processes", ["EXECUTION_ERROR"]),
  stealsToken,
  rogue("reads-environment", "to find secrets in variables", ["EXECUTION_ERROR"]),
  rogue("phones-home", "to send messages to another server", ["EXECUTION_ERROR"]),
  rogue("forges", "to reply in the hub's own protocol", ["EXECUTION_ERROR", "WORKER_CRASH"]),
  rogue("pollutes", "to change the prototype of all objects", ["INVALID_OUTPUT"]),
  rogue("answers-a-gigabyte", "to drown the hub in its answer", outOfMemory),
  rogue("floods-log", "to fill the disk, paint the terminal", ["empty"]),
  // Where the host is late, the engine's own deadline comes first.
  onWasm(spins, ["TIMEOUT", "WORKER_CRASH"]),
  onWasm(hoardsHeap),
  onWasm(stealsToken, ["LOAD_ERROR", "EXECUTION_ERROR"])
]
