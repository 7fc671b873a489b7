/**
 * What host and guest say to each other, on every isolation level.
 *
 * One rule: a guest's message is one text, `<type><nonce><body>`. The type is one character, the nonce is
 * the 36 characters the host drew for the request it answers, the body is JSON made of the plugin's values.
 * Whatever a plugin puts into the body, it cannot reach the type or the nonce; the host reads nothing else.
 */

/** Raised when either side no longer understands the other. */
export const protocolVersion = 4

export const nonceLength = 36

/** Stands where a nonce would, in messages that answer no request. */
export const noNonce = "-".repeat(nonceLength)

/** Characters of a W3C trace context; it may stand before a run's input, which is an object's JSON. */
export const traceparentLength = 55

/** Between the texts that a host sends as one; JSON has none of its own. */
export const lineEnd = "\n"

/** The first character of a guest's message. */
export const ReplyType = {
  /** Booted; body: `{"protocol":n}`. */
  hello: "H",
  /** The plugin is loaded; body: `PluginInfo`. */
  loaded: "L",
  /** The plugin cannot be loaded; body: `LoadFailure`. */
  loadFailed: "F",
  /** The run's output; body: a leftover mark, then the output. */
  output: "O",
  /** The plugin threw; body: a leftover mark, then a thrown value's description. */
  thrown: "X",
  /** The output cannot cross; body: a leftover mark, then why, a string. */
  uncrossable: "I",
  /** An error that no one caught; the isolate ends. Of no request, if none was under way. Body: what it was, a string. */
  crashed: "C",
  /** A log line; body: `{"level":LogLevel,"text":string}`. */
  log: "G",
  /** A part of a `fetch`; body: JSON for the network broker. */
  net: "N",
  /** While it loads: it has nothing to do but wait; body: `Waiting`. */
  waiting: "W",
  /** In audit mode: a use that no grant covers; body: `AuditLine`. */
  audit: "A"
} as const

/** What a load waits for: the module's own top-level `await`, or a promise of its `configSchema`. */
export const Waiting = { module: "M", config: "C" } as const

/** Stands before a reply's body: what the run left behind in its isolate. */
export const Leftover = {
  none: "0",
  /** Timers, sockets and the like. */
  resources: "1",
  /** Requests on the network. */
  requests: "2",
  /** Global variables. */
  globals: "3"
} as const

/** Who a plugin says it is. */
export interface PluginInfo {
  readonly name: string
  readonly version: string
}

/** A place in a module's source as its author wrote it: line and column count from 1. */
export interface ModulePlace {
  /** A path. */
  readonly file: string
  readonly line: number
  readonly column: number
  /** The lines around it, the place marked; see `codeFrame`. */
  readonly frame: string
}

/** What a module answer's problem says of where it is. */
export interface ProblemOrigin {
  /** Path of the module that asked. */
  readonly importer?: string
  /** The import in that module, or the place in the module asked for that does not parse. */
  readonly place?: ModulePlace
}

/** Why a plugin cannot be loaded. */
export interface LoadFailure extends ProblemOrigin {
  readonly message: string
  /** What its module threw. */
  readonly cause?: { readonly name: string; readonly message: string; readonly stack?: string }
  /** The kind's method, if that is all that it lacks. */
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
  /** Run the plugin; body: the trace context, if there is one, and the input. Handed over ahead: a guest begins it when what came before is answered. */
  run: "R",
  /** Tell the plugin to stop, and begin nothing any more; no body. */
  abort: "A",
  /** An answer of the network broker; body: its JSON. */
  net: "N"
} as const

/** What the host sends once, to make a booted guest the guest of one plugin. */
export interface LoadRequest {
  readonly entry: string
  readonly method: string
  /** The name to go by if the plugin has none. */
  readonly name: string
  readonly config: unknown
  /** Granted environment variables. */
  readonly env: { readonly [name: string]: string }
  readonly limits: GuestLimits
  /** Real paths that are granted, where what is not granted is let through and reported. */
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
  readonly listen: (handler: (text: string) => void) => void
  /** Where modules come from, once the guest has a plugin. */
  readonly modules: () => ModuleLine | undefined
}

/** A synchronous line to the host's module loader. */
export interface ModuleLine {
  readonly ask: (request: ModuleRequest) => ModuleFrame
}

/** How a thread is given its module line: a request over the port, sleep on the flag, take the frame. */
export interface ModuleChannel {
  readonly port: import("node:worker_threads").MessagePort
  readonly flag: SharedArrayBuffer
}

export interface ModuleRequest {
  readonly specifier: string
  readonly parent: string
  /** `require()` and `import` resolve by other conditions. */
  readonly require: boolean
}

export type ModuleFormat = "module" | "commonjs" | "json" | "wasm"

/** JSON at the head of a frame: the module that was asked for, and others that will be, in the order of their bytes. */
export type FrameHead =
  | {
      readonly modules: ReadonlyArray<readonly [url: string, format: ModuleFormat, bytes: number]>
      /** What asks for them: a module of the frame by its index, or another by its URL. */
      readonly requests: ReadonlyArray<
        readonly [parent: number | string, specifier: string, require: 0 | 1, module: number]
      >
    }
  | ModuleRefused

/** Why a module cannot be had; `syntax` if it does not parse. */
export interface ModuleRefused extends ProblemOrigin {
  readonly error: string
  readonly syntax?: true
}

/** What a loader answers. To a process: the head, a line feed, and as many bytes as its modules have. */
export interface ModuleFrame {
  readonly head: string
  /** UTF-8 between two offsets. */
  readonly text: (from: number, to: number) => string
  readonly bytes: (from: number, to: number) => Uint8Array
}

/** What a guest makes of it. */
export type ModuleAnswer =
  | { readonly url: string; readonly format: ModuleFormat; readonly source: string | Uint8Array }
  | ModuleRefused
