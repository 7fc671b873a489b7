/**
 * Removes what the permission flags leave open, before any plugin code runs: deletes the globals that are not on a
 * list, and replaces dangerous members of the process.
 */
// Imported, because the global `process` becomes the stand-in here.
import realProcess from "node:process"
import type { Writable } from "node:stream"
import { defineGlobals } from "../shared/defineGlobals.ts"
import { names } from "../shared/names.ts"
import type { GuestConsole } from "./console.ts"
import { replaceBufferMethods } from "./bufferMethods.ts"
import { denied } from "./denied.ts"
import { globalCrypto, globalPerformance } from "./facades.ts"
import { sealMessagePorts } from "./intrinsics.ts"
import { Headers } from "../fetch/headers.ts"
import type { GuestFetch } from "../fetch/makeFetch.ts"
import { Request, Response } from "../fetch/RequestResponse.ts"
import { replaceStringDecoder } from "./StringDecoder.ts"
import { TextDecoder } from "./TextDecoder.ts"

/** The globals that only compute and reach nothing outside the isolate. All others are deleted. */
const allowedGlobals = new Set<PropertyKey>([
  ...names(`
    AggregateError Array ArrayBuffer AsyncDisposableStack Atomics BigInt BigInt64Array BigUint64Array
    Boolean DataView Date DisposableStack Error EvalError FinalizationRegistry Float16Array Float32Array
    Float64Array Function Infinity Int16Array Int32Array Int8Array Intl Iterator JSON Map Math NaN Number
    Object Promise Proxy RangeError ReferenceError Reflect RegExp Set SharedArrayBuffer String
    SuppressedError Symbol SyntaxError Temporal TypeError URIError Uint16Array Uint32Array Uint8Array
    Uint8ClampedArray WeakMap WeakRef WeakSet WebAssembly decodeURI decodeURIComponent encodeURI
    encodeURIComponent escape eval globalThis isFinite isNaN parseFloat parseInt undefined unescape
  `),
  // Globals of the Web and of Node that stay inside the isolate.
  ...names(`
    AbortController AbortSignal Buffer ByteLengthQueuingStrategy CountQueuingStrategy CustomEvent
    DOMException Event EventTarget ReadableByteStreamController ReadableStream ReadableStreamBYOBReader
    ReadableStreamBYOBRequest ReadableStreamDefaultController ReadableStreamDefaultReader TextDecoder
    TextDecoderStream TextEncoder TextEncoderStream TransformStream TransformStreamDefaultController URL
    URLSearchParams WritableStream WritableStreamDefaultController WritableStreamDefaultWriter atob btoa
    clearImmediate clearInterval clearTimeout global queueMicrotask setImmediate setInterval setTimeout
  `)
])

/**
 * Members of the real `process` that reach beyond the isolate. Plugins get a stand-in, but can get hold of the real
 * process, for example as `this` in an event listener.
 */
const stubbedProcessMembers = names(`
  _debugEnd _debugProcess _getActiveHandles _getActiveRequests _kill _linkedBinding _rawDebug
  _startProfilerIdleNotifier _stopProfilerIdleNotifier abort addUncaughtExceptionCaptureCallback binding
  chdir constrainedMemory cpuUsage dlopen execve finalization getBuiltinModule initgroups kill loadEnvFile
  openStdin resourceUsage setSourceMapsEnabled setUncaughtExceptionCaptureCallback setegid seteuid setgid
  setgroups setuid threadCpuUsage umask
`)

const hiddenProcessMembers = names(`report stdin mainModule channel allowedNodeEnvironmentFlags config`)

const replace = (target: object, name: PropertyKey, value: unknown): void => {
  Object.defineProperty(target, name, { value, writable: false, enumerable: false, configurable: false })
}

/** Whether a symbol names one of Node's methods that transfer an object to another thread. */
const isTransfer = ({ description }: symbol): boolean =>
  /^messaging_|^kMakeTransferable$/.test(description ?? "")

/**
 * Replaces a standard stream of the process, because Node's own holds the thread's internal port. Node calls
 * methods on it by symbol, so the stand-in gets empty ones: nothing uses their results.
 */
const replaceStream = (name: "stdout" | "stderr", standIn: Writable): void => {
  for (let proto: unknown = realProcess[name]; typeof proto === "object" && proto !== null; ) {
    for (const symbol of Object.getOwnPropertySymbols(proto)) {
      if (typeof Reflect.get(proto, symbol) !== "function" || symbol in standIn || isTransfer(symbol))
        continue
      Object.defineProperty(standIn, symbol, { value: () => undefined })
    }
    proto = Object.getPrototypeOf(proto)
  }
  replace(realProcess, name, standIn)
}

/**
 * Makes Node return cleared memory only. Uncleared memory, in Node's buffer pool or from `allocUnsafe`, may hold
 * data that another isolate of this process has freed.
 */
const clearBuffers = (): void => {
  // The setter ignores the value: plugins may set the size, but the pool stays off.
  Object.defineProperty(Buffer, "poolSize", { get: () => 0, set: () => {}, configurable: false })
  const { alloc } = Buffer
  for (const name of ["allocUnsafe", "allocUnsafeSlow"] as const) {
    // Writable: a plugin that replaces it only affects itself, because the original is out of reach.
    Object.defineProperty(Buffer, name, { value: (size: number) => alloc(size), writable: true })
  }
}

/** Removes Node's methods that transfer an object to another thread, and the `URL` methods for native `Blob`s. */
const removeTransfers = (): void => {
  for (const name of Reflect.ownKeys(globalThis)) {
    const of: unknown = allowedGlobals.has(name) ? Reflect.get(globalThis, name) : undefined
    if (typeof of !== "function") continue
    for (const holder of [of, of.prototype]) {
      if (holder === undefined) continue
      for (const symbol of Object.getOwnPropertySymbols(holder)) {
        if (isTransfer(symbol)) Reflect.deleteProperty(holder, symbol)
      }
    }
  }
  for (const name of ["createObjectURL", "revokeObjectURL"]) Reflect.deleteProperty(URL, name)
}

/** Hardens this isolate. Call it once. */
export const harden = (
  console: GuestConsole,
  facades: ReadonlyMap<string, object>,
  net: GuestFetch
): void => {
  sealMessagePorts()
  clearBuffers()
  replaceStringDecoder()
  replaceBufferMethods()
  removeTransfers()

  for (const key of Reflect.ownKeys(globalThis)) {
    if (
      typeof key === "symbol"
        ? key.description === "agentlip.builtins" || key === Symbol.toStringTag
        : allowedGlobals.has(key)
    ) {
      continue
    }
    Reflect.deleteProperty(globalThis, key)
  }
  defineGlobals({
    console: console.console,
    process: facades.get("process"),
    crypto: globalCrypto,
    performance: globalPerformance,
    fetch: net.fetch,
    Headers,
    Request,
    Response,
    TextDecoder
  })

  for (const name of stubbedProcessMembers) {
    if (!(name in realProcess)) continue
    replace(realProcess, name, () => {
      throw denied(`process.${name}`, "Plugins cannot reach the host's process.")
    })
  }
  for (const name of hiddenProcessMembers) if (name in realProcess) replace(realProcess, name, undefined)
  replaceStream("stdout", console.stdout)
  replaceStream("stderr", console.stderr)
  replace(realProcess, "title", "plugin")
}
