/**
 * What each isolation level enforces, on which platform. Requests are checked against this table, and
 * docs/capabilities.md is generated from it.
 */
import { Result } from "effect"
import { type PrepareError, unprepared } from "../PrepareError.ts"
import { checkEngine } from "./engines.ts"

/** The names of the isolation levels: the columns of the table. */
export const levelNames = ["thread", "process", "wasm"] as const
export type LevelName = (typeof levelNames)[number]

export type Platform = "linux" | "darwin" | "other"
export const platforms: ReadonlyArray<Platform> = ["linux", "darwin", "other"]

export interface Host {
  readonly platform: Platform
  /** `oldNode`: a Node that does not hold plugins in threads (engines.ts). */
  readonly runtime: "node" | "oldNode" | "bun"
}

const currentNode = Result.isSuccess(checkEngine("thread", process.versions.node)) ? "node" : "oldNode"

export const thisHost: Host = {
  platform: process.platform === "linux" || process.platform === "darwin" ? process.platform : "other",
  runtime: process.versions.bun === undefined ? currentNode : "bun"
}

/** What one level does about one row. */
interface Cell {
  /** The platforms that enforce it; none if absent. */
  readonly on?: ReadonlyArray<Platform>
  /** Whether Bun and old Nodes enforce it too. */
  readonly anyRuntime?: boolean
  /** How it is enforced, or why not. */
  readonly how: string
}

interface Row extends Readonly<Record<LevelName, Cell>> {
  /** What the docs call it. */
  readonly what: string
}

const unix = ["linux", "darwin"] as const
const anywhere = platforms

const thread = (how: string, anyRuntime = false): Cell => ({ on: anywhere, anyRuntime, how })
/** Processes always run Node, even if the host runs Bun. There are none on Windows. */
const inProcess = (how: string, on: ReadonlyArray<Platform> = unix): Cell => ({ on, anyRuntime: true, how })
const wasm = (how: string): Cell => ({ on: anywhere, anyRuntime: true, how })

/** The table. The first rows, up to `limits.cpu`, are what a spec can ask for. Problems use their names. */
export const matrix = {
  "grants.read": {
    what: "read files and folders",
    thread: thread("permission flags of the thread"),
    process: inProcess("permission flags of the process"),
    wasm: { how: "it has no files" }
  },
  "grants.write": {
    what: "write files and folders",
    thread: thread("permission flags of the thread"),
    process: inProcess("permission flags of the process"),
    wasm: { how: "it has no files" }
  },
  "grants.net": {
    what: "`fetch` from granted hosts",
    thread: thread("broker in the host"),
    process: inProcess("broker in the host"),
    wasm: wasm("broker in the host")
  },
  "grants.env": {
    what: "see granted environment variables",
    thread: thread("empty environment, granted values handed in"),
    process: inProcess("empty environment, granted values handed in"),
    wasm: wasm("no environment, granted values handed in")
  },
  'enforcement "audit"': {
    what: 'let through and report (`enforcement: "audit"`)',
    thread: thread("checks in the guest"),
    process: inProcess("checks in the guest"),
    wasm: wasm("checks in the host")
  },
  integrity: {
    what: "exactly the modules that were hashed",
    thread: thread("module loader in the host"),
    process: inProcess("module loader in the host"),
    wasm: wasm("module loader in the host")
  },
  'sandbox "bubblewrap"': {
    what: 'namespaces of the kernel (`sandbox: "bubblewrap"`)',
    thread: { how: "it shares the hub's process" },
    process: inProcess("bubblewrap, where it is installed", ["linux"]),
    wasm: { how: "it shares the hub's process" }
  },
  "limits.cpu": {
    what: "processor time of a run",
    thread: thread("watched by the host"),
    process: inProcess("watched by the host", ["linux"]),
    // Its thread reports it; a thread of Bun does not.
    wasm: thread("watched by the host")
  },
  heap: {
    what: "heap",
    thread: { how: "watched by the host every 25 ms, and one line of JavaScript can be faster" },
    process: inProcess("V8's own limit"),
    wasm: wasm("QuickJS's own limit")
  },
  offHeap: {
    what: "memory outside of the heap",
    thread: { how: "buffers are watched every 25 ms, shared and WebAssembly memory is not seen" },
    process: inProcess("`RLIMIT_DATA`, and watched by the host", ["linux"]),
    wasm: wasm("it has none")
  },
  output: {
    what: "items, values, length and depth of the output",
    thread: thread("guest and host", true),
    process: inProcess("guest and host"),
    wasm: wasm("guest and host")
  },
  logs: {
    what: "log lines and characters",
    thread: thread("guest and host", true),
    process: inProcess("guest and host"),
    wasm: wasm("guest and host")
  },
  messages: {
    what: "messages a second",
    thread: thread("host", true),
    process: inProcess("host"),
    wasm: wasm("host")
  },
  hangs: {
    what: "endless loops end at the deadline",
    thread: { how: "the thread is terminated; a few built-ins cannot be interrupted (zombies)" },
    process: inProcess("SIGKILL to the process group"),
    wasm: wasm("interrupt handler, then the isolate is terminated")
  },
  crashes: {
    what: "a plugin cannot take the hub down with its process",
    thread: { how: "it shares the hub's process, which can run out of memory with it" },
    process: inProcess("a process of its own"),
    wasm: wasm("code of the plugin never runs outside of WebAssembly")
  }
} satisfies Record<string, Row>

export type Subject = keyof typeof matrix

export const enforces = (level: LevelName, subject: Subject, host: Host): boolean => {
  const cell: Cell = matrix[subject][level]
  return (
    cell.on !== undefined &&
    cell.on.includes(host.platform) &&
    (host.runtime === "node" || cell.anyRuntime === true)
  )
}

/** What platforms and runtimes are called. */
export const names = {
  linux: "Linux",
  darwin: "macOS",
  other: "other systems",
  node: "Node",
  oldNode: "a Node with known holes",
  bun: "Bun"
} as const

const hostName = ({ platform, runtime }: Host): string => `${names[runtime]} on ${names[platform]}`

export const checkEnforced = (
  level: LevelName,
  subject: Subject,
  host: Host = thisHost
): Result.Result<void, PrepareError> => {
  if (enforces(level, subject, host)) return Result.void
  const cell: Cell = matrix[subject][level]
  const why = cell.on === undefined ? cell.how : `not with ${hostName(host)}`
  const others = levelNames.filter((other) => enforces(other, subject, host)).map((other) => `"${other}"`)
  const remedy = others.length === 0 ? "remove it" : `use isolation ${others.join(" or ")}, or remove it`
  return Result.fail(unprepared(`${subject} cannot be enforced on isolation "${level}" (${why})`, remedy))
}
