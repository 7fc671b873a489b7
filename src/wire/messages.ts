/**
 * The messages between host and guest, the same on every isolation level. `codec.ts` encodes and decodes them.
 *
 * | request of the host | reply of the guest | side messages before the reply |
 * | --- | --- | --- |
 * | none: the guest has booted | `hello` | |
 * | `load` | `loaded` or `loadFailed` | `log`, `net`, `audit`, `waiting` |
 * | `run` | `output`, `thrown` or `uncrossable` | `log`, `net`, `audit` |
 * | `abort`, `net` | none | |
 *
 * `crashed` can come at any time; it is the guest's last message.
 */
import type { ModuleLine, ProblemOrigin } from "./modules.ts"
import type { LongText } from "./runInput.ts"

/** Raised with each change that makes one side misunderstand the other. */
export const protocolVersion = 6

/** The first character of a guest's message. */
export const ReplyType = {
  /** Booted; body: `{"protocol":n}`. */
  hello: "H",
  /** The plugin is loaded; body: `PluginInfo`. */
  loaded: "L",
  /** The plugin cannot be loaded; body: `LoadFailure`. */
  loadFailed: "F",
  /** The run's output; body: its JSON. */
  output: "O",
  /** The plugin threw; body: the description of the thrown value, with `missingGrants` if a call lacked a grant. */
  thrown: "X",
  /** The output cannot cross; body: why, a string. */
  uncrossable: "I",
  /** An uncaught error; the isolate ends. Tagged with the request that was running, if any. Body: the reason, a string. */
  crashed: "C",
  /** A log line; body: `{"level":LogLevel,"text":string}`. */
  log: "G",
  /** A part of a `fetch`; body: JSON for the network broker. */
  net: "N",
  /** The load is waiting and nothing else happens; body: `Waiting`. */
  waiting: "W",
  /** A use that no grant covers; body: `AuditLine`. */
  audit: "A"
} as const

/** What a load waits for: the module's top-level `await`, or a promise of its `configSchema`. */
export const Waiting = { module: "M", config: "C" } as const

/** The mark in a reply that ends a run: what the run left behind in its isolate. */
export const Leftover = {
  none: "0",
  /** Timers, sockets and the like. */
  resources: "1",
  /** Requests on the network. */
  requests: "2",
  /** Global variables. */
  globals: "3"
} as const

/** What a plugin says about itself. */
export interface PluginInfo {
  readonly name: string
  readonly version: string
  /** The methods of its kind that it has; the first is the one that is called. */
  readonly methods: ReadonlyArray<string>
}

/** Why a plugin cannot be loaded. */
export interface LoadFailure extends ProblemOrigin {
  readonly message: string
  /** What its module threw. */
  readonly cause?: { readonly name: string; readonly message: string; readonly stack?: string }
  /** The kind's method, if only that is missing. */
  readonly missingMethod?: string
}

/** A use of a capability that no grant covers. */
export interface AuditLine {
  readonly capability: "read" | "write" | "env"
  /** The path or name. */
  readonly what: string
}

export type LogLevel = "Debug" | "Info" | "Warn" | "Error"

/** The first character of a host's text. */
export const RequestType = {
  /** Become the guest of one plugin; body: `LoadRequest`. */
  load: "L",
  /** Run the plugin; body: the trace context, if there is one, and the input. The guest starts it when it has answered all earlier requests. */
  run: "R",
  /** Abort the current run and start no other; no tag, no body. */
  abort: "A",
  /** An answer of the network broker; no tag; body: its JSON. */
  net: "N"
} as const

/** What the host sends once, to make a booted guest the guest of one plugin. */
export interface LoadRequest {
  readonly entry: string
  readonly method: string
  /** Methods that it may have instead. */
  readonly otherMethods: ReadonlyArray<string>
  /** The name of a plugin that states none. */
  readonly name: string
  readonly config: unknown
  /** Granted environment variables. */
  readonly env: { readonly [name: string]: string }
  readonly limits: GuestLimits
  /** Set in audit mode: the real paths that are granted. All others are allowed and reported. */
  readonly audit?: { readonly read: ReadonlyArray<string>; readonly write: ReadonlyArray<string> }
}

export interface GuestLimits {
  readonly outputLength: number
  readonly logLines: number
  readonly logLength: number
  /** MiB. */
  readonly memory: number
  /** When code that cannot be interrupted from outside should stop by itself, in milliseconds from its start. */
  readonly deadline: number
}

/** A guest's line to its host. */
export interface HostLine {
  readonly post: (text: string) => void
  /** Keeps the isolate alive. */
  readonly listen: (handler: (text: string, texts?: ReadonlyArray<LongText>) => void) => void
  /** Where modules come from, once the guest has a plugin. */
  readonly modules: () => ModuleLine | undefined
}
