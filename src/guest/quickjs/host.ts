/**
 * What the thread around QuickJS hands in. Taken off the global object by the first code in QuickJS: no plugin
 * ever sees it. Only texts, numbers and buffers cross; texts that may hold anything cross as JSON.
 */
export interface Host {
  /** To the host, as a guest's message. */
  readonly post: (text: string) => void
  /** Gives the thread the functions by which it calls. */
  readonly serve: (turn: Turn, evaluate: Evaluate) => void
  /** Ends the isolate. */
  readonly exit: (code: number) => void
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number
  readonly random: () => number
  /** At most 65,536. */
  readonly randomBytes: (length: number) => ArrayBuffer
  readonly randomUUID: () => string
  /** A JSON string as UTF-8. */
  readonly encode: (json: string) => ArrayBuffer
  /** The JSON of a text, or `undefined` where the bytes are no such text. Throws for an unknown label. */
  readonly decode: (
    bytes: ArrayBuffer,
    label: string,
    fatal: boolean,
    ignoreBOM: boolean
  ) => string | undefined
  /** The standard name of an encoding; throws for an unknown label. */
  readonly encodingName: (label: string) => string
  /** The parts of a URL, as JSON; of `[input, base]` as JSON. `undefined` where it is none. */
  readonly parseUrl: (json: string) => string | undefined
  /** The parts of a URL after one of them was set; of `[href, part, value]` as JSON. */
  readonly setUrl: (json: string) => string
  /** Pairs of a query, as JSON; of a JSON string. */
  readonly parseQuery: (json: string) => string
  /** The JSON string of a query; of pairs, as JSON. */
  readonly formatQuery: (json: string) => string
  /** What `require(specifier)` means in a module: its URL and format, as JSON; of `[specifier, parent]` as JSON. */
  readonly resolve: (json: string) => string
  /** The function that a CommonJS module is. */
  readonly compile: (url: string) => (...args: ReadonlyArray<unknown>) => unknown
  /** The text of a JSON module, as it is. */
  readonly text: (url: string) => string
}

/**
 * Takes a text of the host, or without one does the timer that is due. Answers how to go on: 0 to be called again
 * at once, else milliseconds until the next timer, or `Idle`.
 */
export type Turn = (text?: string) => number

/** Runs a CommonJS module; answers the names of what it exports, as JSON. */
export type Evaluate = (url: string) => string

export const Idle = {
  /** There is nothing to wait for but the host's next text. */
  stuck: -1,
  /** A request on the network is open. */
  fetching: -2
} as const

/** Where the thread leaves it. */
const place = "agentlip.host"

// The thread that defines these is this library's own (hostFunctions.ts).
export const host: Host = Reflect.get(globalThis, place)
Reflect.deleteProperty(globalThis, place)

/** UTF-16 units of a text, or bytes, that cross at once. */
const maxLength = 16 * 1024 * 1024

/** What is about to cross; throws if it is too long to. */
export const crossing = <Value extends { readonly length: number }>(value: Value, what: string): Value => {
  if (value.length > maxLength)
    throw new RangeError(`${what} is too long for isolation "wasm" (over ${maxLength})`)
  return value
}
