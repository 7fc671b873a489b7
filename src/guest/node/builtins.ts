/**
 * The built-in modules that only compute and reach nothing outside the isolate. facades.ts makes stand-ins for some
 * others; plugins cannot import the rest.
 *
 * Members are listed by name, so that a new Node version exposes nothing new to plugins: some of Node's classes
 * have native code that aborts the process, or use memory outside all limits.
 */
import * as buffer from "node:buffer"
import events from "node:events"
import stream from "node:stream"
import * as consumers from "node:stream/consumers"
import * as stringDecoder from "node:string_decoder"
import * as timers from "node:timers"
import * as url from "node:url"
import * as util from "node:util"
import { names } from "../shared/names.ts"
import { TextDecoder } from "./TextDecoder.ts"

/** Modules that are safe as a whole. The record has no prototype that a plugin could patch. */
export const harmless: { readonly [name: string]: true } = Object.assign(
  Object.create(null),
  Object.fromEntries(
    names(`assert assert/strict path path/posix path/win32 punycode querystring stream/promises timers/promises
      util/types`).map((name) => [name, true])
  )
)

/** The members that a plugin gets, by module. */
const members = {
  // Left out: `Blob`, `File` and `resolveObjectURL` (native code), `SlowBuffer` (uncleared memory), `transcode`.
  buffer: names(`Buffer INSPECT_MAX_BYTES atob btoa constants isAscii isUtf8 kMaxLength kStringMaxLength`),
  // Left out: `EventEmitterAsyncResource`.
  events: names(`EventEmitter addAbortListener captureRejectionSymbol captureRejections defaultMaxListeners
    errorMonitor getEventListeners getMaxListeners init listenerCount on once setMaxListeners usingDomains`),
  stream: names(`Duplex PassThrough Readable Stream Transform Writable _isArrayBufferView _isUint8Array
    _uint8ArrayToBuffer addAbortSignal compose destroy duplexPair finished getDefaultHighWaterMark isDestroyed
    isDisturbed isErrored isReadable isWritable pipeline promises setDefaultHighWaterMark`),
  // Left out: `blob`.
  "stream/consumers": names(`arrayBuffer buffer bytes json text`),
  string_decoder: names(`StringDecoder`),
  timers: names(`clearImmediate clearInterval clearTimeout promises setImmediate setInterval setTimeout`),
  // Left out: `URLPattern`, because misuse of its native code has crashed the process.
  url: names(`URL URLSearchParams Url domainToASCII domainToUnicode fileURLToPath fileURLToPathBuffer
    format parse pathToFileURL resolve resolveObject urlToHttpOptions`),
  // Left out: members about the process (`setTraceSigInt`), its code (`getCallSites`) and ports (`transferable…`).
  util: names(`MIMEParams MIMEType TextEncoder _extend aborted callbackify convertProcessSignalToExitCode debounce
    debug debuglog deprecate diff format formatWithOptions getSystemErrorMap getSystemErrorMessage getSystemErrorName
    inherits inspect isArray isDeepStrictEqual parseArgs parseEnv promisify
    stripVTControlCharacters styleText throttle toUSVString types`)
}

export const pick = (from: object, names: ReadonlyArray<string>): Record<string, unknown> =>
  Object.fromEntries(names.filter((name) => name in from).map((name) => [name, Reflect.get(from, name)]))

/** Removes all members that are not listed. Used if the module is a function, which cannot be copied. */
const strip = (module: object, names: ReadonlyArray<string>): object => {
  for (const name of Object.keys(module)) {
    if (!names.includes(name) && !Reflect.deleteProperty(module, name)) {
      Object.defineProperty(module, name, { value: undefined, enumerable: false })
    }
  }
  return module
}

/** The modules that plugins get only in part, by name. */
export const makeParts = (): Map<string, object> =>
  new Map<string, object>([
    ["buffer", pick(buffer, members.buffer)],
    ["events", strip(events, members.events)],
    ["stream", strip(stream, members.stream)],
    ["stream/consumers", pick(consumers, members["stream/consumers"])],
    ["string_decoder", pick(stringDecoder, members.string_decoder)],
    ["timers", pick(timers, members.timers)],
    ["url", pick(url, members.url)],
    ["util", { ...pick(util, members.util), TextDecoder }]
  ])
