/**
 * The functions that the thread around QuickJS provides. The first code in QuickJS removes them from the global
 * object, so plugins never see them. Only strings, numbers and buffers cross. Strings that may hold any character
 * cross as JSON.
 */
export interface Host {
  readonly post: (text: string) => void
  /** Gives the thread the two functions that it calls. */
  readonly serve: (turn: Turn, evaluate: Evaluate) => void
  readonly exit: (code: number) => void
  /** A monotonic clock, in milliseconds. */
  readonly now: () => number
  readonly random: () => number
  /** The length is at most 65,536. */
  readonly randomBytes: (length: number) => ArrayBuffer
  readonly randomUUID: () => string
  /** Encodes a JSON string as UTF-8. */
  readonly encode: (json: string) => ArrayBuffer
  /**
   * Decodes bytes to a JSON string; `undefined` if they are invalid in that encoding. Throws for an unknown label.
   */
  readonly decode: (
    bytes: ArrayBuffer,
    label: string,
    fatal: boolean,
    ignoreBOM: boolean
  ) => string | undefined
  readonly toBase64: (bytes: ArrayBuffer) => string
  readonly fromBase64: (text: string) => ArrayBuffer
  /** The standard name of an encoding. Throws for an unknown label. */
  readonly encodingName: (label: string) => string
  /**
   * Parses a URL. Takes `[input, base]` as JSON and returns the URL's parts as JSON; `undefined` if the URL is
   * invalid.
   */
  readonly parseUrl: (json: string) => string | undefined
  /** Sets a part of a URL. Takes `[href, part, value]` as JSON and returns the URL's parts as JSON. */
  readonly setUrl: (json: string) => string
  /** Parses a query. Takes a JSON string and returns a JSON list of pairs. */
  readonly parseQuery: (json: string) => string
  /** Formats a query. Takes a JSON list of pairs and returns a JSON string. */
  readonly formatQuery: (json: string) => string
  /**
   * Resolves a `require`. Takes `[specifier, parent]` as JSON and returns the module's URL and format as JSON. Throws if
   * the module is refused.
   */
  readonly resolve: (json: string) => string
  readonly compile: (url: string) => (...args: ReadonlyArray<unknown>) => unknown
  /** The text of a JSON module, unchanged. */
  readonly text: (url: string) => string
}

/**
 * With a text, handles a message of the host. Without one, runs the timer that is due. Returns how to go on: 0 to
 * be called again at once, the milliseconds until the next timer, or a value of `Idle`.
 */
export type Turn = (text?: string) => number

/** Runs a CommonJS module. Returns the names of its exports, as JSON. */
export type Evaluate = (url: string) => string

export const Idle = {
  /** Nothing is pending; only a message of the host can continue. */
  stuck: -1,
  /** A network request is open. */
  fetching: -2
} as const

/** The parts of a URL that the thread sends. */
export const urlParts = [
  "href",
  "origin",
  "protocol",
  "username",
  "password",
  "host",
  "hostname",
  "port",
  "pathname",
  "search",
  "hash"
] as const

/** The global property in which the thread leaves the functions. */
const place = "agentlip.host"

// This library's own thread defines them (hostFunctions.ts).
export const host: Host = Reflect.get(globalThis, place)
Reflect.deleteProperty(globalThis, place)
