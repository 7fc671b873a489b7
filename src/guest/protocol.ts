/**
 * What host and guest say to each other, on every isolation level.
 *
 * One rule: a guest's message is one text, `<type><nonce><body>`. The type is one character, the nonce is
 * the 36 characters the host drew for the request it answers, the body is JSON made of the plugin's values.
 * Whatever a plugin puts into the body, it cannot reach the type or the nonce; the host reads nothing else.
 */

/** Raised when either side no longer understands the other. */
export const protocolVersion = 1

export const nonceLength = 36

/** Stands where a nonce would, in messages that answer no request. */
export const noNonce = "-".repeat(nonceLength)

/** The first character of a guest's message. */
export const Reply = {
  /** Booted; body: `Hello`. */
  hello: "H",
  /** The plugin is loaded; body: `PluginInfo`. */
  loaded: "L",
  /** The plugin cannot be loaded; body: the reason, a string. */
  loadFailed: "F",
  /** The run's output; body: a leftover mark, then the output. */
  output: "O",
  /** The plugin threw; body: a leftover mark, then a thrown value's description. */
  thrown: "X",
  /** The output cannot cross; body: a leftover mark, then why, a string. */
  uncrossable: "I",
  /** An error that no one caught; the isolate ends. Body: what it was, a string. */
  crashed: "C",
  /** A log line; body: `LogLine`. */
  log: "G"
} as const

/** Stands before a reply's body: did the run leave anything behind in its isolate? */
export const Leftover = { none: "0", some: "1" } as const

export interface Hello {
  readonly protocol: number
}

export interface PluginInfo {
  readonly name: string
  readonly version: string
}

export type LogLevel = "Debug" | "Info" | "Warn" | "Error"

/** A line a plugin logged; `dropped` counts the lines over the caps that came before it. */
export interface LogLine {
  readonly level: LogLevel
  readonly text: string
}

/** The first character of a host's text. */
export const Request = {
  /** Run the plugin; body: the input. */
  run: "R",
  /** Tell the plugin to stop; no body. */
  abort: "A"
} as const

/** What the host sends once, to make a booted guest the guest of one plugin. */
export interface LoadRequest {
  readonly nonce: string
  readonly entry: string
  readonly method: string
  /** The name to go by if the plugin has none. */
  readonly name: string
  /** JSON. */
  readonly config: string
  readonly limits: GuestLimits
  /** Where modules come from; absent where the guest reads them itself (trusted plugins on Bun). */
  readonly modules?: ModuleChannel
}

export interface GuestLimits {
  readonly outputLength: number
  readonly logLines: number
  readonly logLength: number
}

/** A synchronous line to the host's module loader: a request over the port, sleep on the flag, take the answer. */
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

export type ModuleAnswer =
  | {
      readonly url: string
      readonly format: "module" | "commonjs" | "json" | "wasm"
      readonly source: string | Uint8Array
    }
  | { readonly error: string; readonly syntax?: true }
