/**
 * Built-in modules that compute and touch nothing outside the isolate. The others that a plugin may have are
 * stand-ins (facades.ts); all the rest there is none of.
 *
 * What a new Node adds to a module is not a plugin's until it is listed here: some of Node's own classes have a native
 * half that aborts the process, or memory that no limit sees.
 */
import * as buffer from "node:buffer"
import * as events from "node:events"
import * as stream from "node:stream"
import * as consumers from "node:stream/consumers"
import * as stringDecoder from "node:string_decoder"
import * as timers from "node:timers"
import * as url from "node:url"
import * as util from "node:util"
import { TextDecoder } from "./TextDecoder.ts"

/** Modules that are ECMAScript through and through. Without a prototype that a plugin could patch. */
export const harmless: { readonly [name: string]: true } = Object.assign(Object.create(null), {
  assert: true,
  "assert/strict": true,
  path: true,
  "path/posix": true,
  "path/win32": true,
  punycode: true,
  querystring: true,
  "stream/promises": true,
  "timers/promises": true,
  "util/types": true
})

const names = (text: string): ReadonlyArray<string> => text.trim().split(/\s+/)

/** By module: the members that a plugin is given. */
const members = {
  // Not `Blob`, `File`, `resolveObjectURL` (native halves), `SlowBuffer` (memory that was
  // not cleared), nor `transcode`.
  buffer: names(`Buffer INSPECT_MAX_BYTES atob btoa constants isAscii isUtf8 kMaxLength kStringMaxLength`),
  // Not `EventEmitterAsyncResource`.
  events: names(`EventEmitter addAbortListener captureRejectionSymbol captureRejections defaultMaxListeners
    errorMonitor getEventListeners getMaxListeners init listenerCount on once setMaxListeners usingDomains`),
  stream: names(`Duplex PassThrough Readable Stream Transform Writable _isArrayBufferView _isUint8Array
    _uint8ArrayToBuffer addAbortSignal compose destroy duplexPair finished getDefaultHighWaterMark isDestroyed
    isDisturbed isErrored isReadable isWritable pipeline promises setDefaultHighWaterMark`),
  // Not `blob`.
  "stream/consumers": names(`arrayBuffer buffer bytes json text`),
  string_decoder: names(`StringDecoder`),
  timers: names(`clearImmediate clearInterval clearTimeout promises setImmediate setInterval setTimeout`),
  // Not `URLPattern`: misuse of its native half has ended the process with a segmentation fault.
  url: names(`URL URLSearchParams Url domainToASCII domainToUnicode fileURLToPath fileURLToPathBuffer
    format parse pathToFileURL resolve resolveObject urlToHttpOptions`),
  // Not what is about the process (`setTraceSigInt`), its code (`getCallSites`) or ports (`transferable…`).
  util: names(`MIMEParams MIMEType TextEncoder _extend aborted callbackify convertProcessSignalToExitCode debounce
    debug debuglog deprecate diff format formatWithOptions getSystemErrorMap getSystemErrorMessage getSystemErrorName
    inherits inspect isArray isDeepStrictEqual parseArgs parseEnv promisify
    stripVTControlCharacters styleText throttle toUSVString types`)
}

export const pick = (from: object, names: ReadonlyArray<string>): Record<string, unknown> =>
  Object.fromEntries(names.filter((name) => name in from).map((name) => [name, Reflect.get(from, name)]))

/** The module is a function, and its members are that function's: what is not listed is taken off. */
const strip = (module: object, names: ReadonlyArray<string>): object => {
  for (const name of Object.keys(module)) {
    if (!names.includes(name) && !Reflect.deleteProperty(module, name)) {
      Object.defineProperty(module, name, { value: undefined, enumerable: false })
    }
  }
  return module
}

/** The modules of which a plugin is given a part, by name. */
export const makeParts = (): Map<string, object> =>
  new Map<string, object>([
    ["buffer", pick(buffer, members.buffer)],
    ["events", strip(events.default, members.events)],
    ["stream", strip(stream.default, members.stream)],
    ["stream/consumers", pick(consumers, members["stream/consumers"])],
    ["string_decoder", pick(stringDecoder, members.string_decoder)],
    ["timers", pick(timers, members.timers)],
    ["url", pick(url, members.url)],
    ["util", { ...pick(util, members.util), TextDecoder }]
  ])
