/**
 * Takes away what the permission flags leave open, before any plugin code runs: globals by allowlist, the
 * process's dangerous members by stub.
 */
// Imported, not the global: that is the stand-in from here on.
import realProcess from "node:process"
import type { Writable } from "node:stream"
import type { GuestConsole } from "./console.ts"
import { denied } from "./denied.ts"
import { globalCrypto, globalPerformance } from "./facades.ts"
import { sealMessagePorts } from "./intrinsics.ts"
import type { Net } from "./nodeFetch.ts"
import { replaceStringDecoder } from "./StringDecoder.ts"
import { TextDecoder } from "./TextDecoder.ts"

/** Globals that compute and touch nothing outside the isolate. What is not here is deleted. */
const allowedGlobals = new Set<PropertyKey>([
  // ECMAScript
  "AggregateError",
  "Array",
  "ArrayBuffer",
  "AsyncDisposableStack",
  "Atomics",
  "BigInt",
  "BigInt64Array",
  "BigUint64Array",
  "Boolean",
  "DataView",
  "Date",
  "DisposableStack",
  "Error",
  "EvalError",
  "FinalizationRegistry",
  "Float16Array",
  "Float32Array",
  "Float64Array",
  "Function",
  "Infinity",
  "Int16Array",
  "Int32Array",
  "Int8Array",
  "Intl",
  "Iterator",
  "JSON",
  "Map",
  "Math",
  "NaN",
  "Number",
  "Object",
  "Promise",
  "Proxy",
  "RangeError",
  "ReferenceError",
  "Reflect",
  "RegExp",
  "Set",
  "SharedArrayBuffer",
  "String",
  "SuppressedError",
  "Symbol",
  "SyntaxError",
  "Temporal",
  "TypeError",
  "URIError",
  "Uint16Array",
  "Uint32Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "WeakMap",
  "WeakRef",
  "WeakSet",
  "WebAssembly",
  "decodeURI",
  "decodeURIComponent",
  "encodeURI",
  "encodeURIComponent",
  "escape",
  "eval",
  "globalThis",
  "isFinite",
  "isNaN",
  "parseFloat",
  "parseInt",
  "undefined",
  "unescape",
  // The Web's and Node's, as far as they stay inside
  "AbortController",
  "AbortSignal",
  "Buffer",
  "ByteLengthQueuingStrategy",
  "CountQueuingStrategy",
  "CustomEvent",
  "DOMException",
  "Event",
  "EventTarget",
  "ReadableByteStreamController",
  "ReadableStream",
  "ReadableStreamBYOBReader",
  "ReadableStreamBYOBRequest",
  "ReadableStreamDefaultController",
  "ReadableStreamDefaultReader",
  "TextDecoder",
  "TextDecoderStream",
  "TextEncoder",
  "TextEncoderStream",
  "TransformStream",
  "TransformStreamDefaultController",
  "URL",
  "URLSearchParams",
  "WritableStream",
  "WritableStreamDefaultController",
  "WritableStreamDefaultWriter",
  "atob",
  "btoa",
  "clearImmediate",
  "clearInterval",
  "clearTimeout",
  "global",
  "queueMicrotask",
  "setImmediate",
  "setInterval",
  "setTimeout"
]) // prettier-ignore

/**
 * Members of the real `process`. A plugin is given a stand-in, but the real one can be come by (an event's
 * `this`, say), and these reach past the isolate.
 */
const stubbedProcessMembers = [
  "_debugEnd",
  "_debugProcess",
  "_getActiveHandles",
  "_getActiveRequests",
  "_kill",
  "_linkedBinding",
  "_rawDebug",
  "_startProfilerIdleNotifier",
  "_stopProfilerIdleNotifier",
  "abort",
  "addUncaughtExceptionCaptureCallback",
  "binding",
  "chdir",
  "constrainedMemory",
  "cpuUsage",
  "dlopen",
  "execve",
  "finalization",
  "getBuiltinModule",
  "initgroups",
  "kill",
  "loadEnvFile",
  "openStdin",
  "resourceUsage",
  "setSourceMapsEnabled",
  "setUncaughtExceptionCaptureCallback",
  "setegid",
  "seteuid",
  "setgid",
  "setgroups",
  "setuid",
  "threadCpuUsage",
  "umask"
] // prettier-ignore

const hiddenProcessMembers = [
  "report",
  "stdin",
  "mainModule",
  "channel",
  "allowedNodeEnvironmentFlags",
  "config"
]

const replace = (target: object, name: PropertyKey, value: unknown): void => {
  Object.defineProperty(target, name, { value, writable: false, enumerable: false, configurable: false })
}

/** By these Node has an object cross to another thread. */
const isTransfer = ({ description }: symbol): boolean =>
  /^messaging_|^kMakeTransferable$/.test(description ?? "")

/**
 * Node's own stream holds the thread's internal port. Its stand-in has to answer to what the thread itself
 * calls on it, by symbols: nothing waits for those answers.
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
 * Memory that nobody has cleared may hold what another isolate of this process has freed. Node's pool is such
 * memory, and so is what `allocUnsafe` gives.
 */
const clearBuffers = (): void => {
  // A plugin may set it, as it might elsewhere; without a pool it is of no use.
  Object.defineProperty(Buffer, "poolSize", { get: () => 0, set: () => {}, configurable: false })
  const { alloc } = Buffer
  for (const name of ["allocUnsafe", "allocUnsafeSlow"] as const) {
    // What a plugin makes of it is its own business: the original is out of reach.
    Object.defineProperty(Buffer, name, { value: (size: number) => alloc(size), writable: true })
  }
}

/** Node's own means to move an object to another thread: no plugin needs them. `URL` names native `Blob`s. */
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

/** Hardens this isolate, once. */
export const harden = (console: GuestConsole, facades: ReadonlyMap<string, object>, net: Net): void => {
  sealMessagePorts()
  clearBuffers()
  replaceStringDecoder()
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
  const define = (name: string, value: unknown): void => {
    Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true })
  }
  define("console", console.console)
  define("process", facades.get("process"))
  define("crypto", globalCrypto)
  define("performance", globalPerformance)
  define("fetch", net.fetch)
  define("Headers", net.Headers)
  define("Request", net.Request)
  define("Response", net.Response)
  define("TextDecoder", TextDecoder)

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
