/**
 * The built-ins that `fetch` uses, captured before any plugin code runs. Only ECMAScript is required, because the
 * code runs in Node's threads and processes and in QuickJS.
 */
import { fromBase64, toBase64 } from "./base64.ts"

export const { apply } = Reflect
export const { parse, stringify } = JSON
export const Bytes = Uint8Array
export const CapturedPromise = Promise
const { toString } = Object.prototype
/**
 * A value's tag, e.g. `[object URLSearchParams]`. It identifies a class without needing that class in this engine.
 */
export const tagOf = (value: unknown): string => apply(toString, value, [])

/** The options of `makeFetch`. */
export interface FetchOptions {
  /** Sends a message to the host's broker. */
  readonly send: (json: string) => void
  /** If omitted, bodies are async iterables. */
  readonly ReadableStream?: typeof ReadableStream
  /** Encodes as UTF-8. Default: the global `TextEncoder`. */
  readonly encode?: (text: string) => Uint8Array
  /** Decodes UTF-8 and drops a byte order mark. Default: the global `TextDecoder`. */
  readonly decode?: (bytes: Uint8Array) => string
  /** Default: the engine's own method, otherwise one in JavaScript. */
  readonly toBase64?: (bytes: Uint8Array) => string
  readonly fromBase64?: (text: string) => Uint8Array
}

export interface Environment {
  readonly send: (json: string) => void
  readonly ReadableStream: typeof ReadableStream | undefined
  readonly encode: (text: string) => Uint8Array
  readonly decode: (bytes: Uint8Array) => string
  readonly toBase64: (bytes: Uint8Array) => string
  readonly fromBase64: (text: string) => Uint8Array
  /** The canonical form of an absolute URL. Throws for any other text. */
  readonly normalise: (url: string) => string
  /** A signal that is never aborted; `undefined` if the engine has no `AbortController`. */
  readonly idleSignal: () => AbortSignal | undefined
  /** An error like the Web's own: a `DOMException` if the engine has one. */
  readonly makeError: (name: string, message: string) => Error
}

type AnyFunction = (...args: ReadonlyArray<never>) => unknown
const isFunction = (value: unknown): value is AnyFunction => typeof value === "function"

/**
 * A built-in method with `self` bound; `undefined` if it does not exist. Without `self`, the argument becomes
 * `this`.
 */
const method = (self: unknown, from: object, name: string): ((arg?: unknown) => unknown) | undefined => {
  const found: unknown = Reflect.get(from, name)
  return isFunction(found)
    ? (arg) => (self === undefined ? apply(found, arg, []) : apply(found, self, [arg]))
    : undefined
}

/** Types a built-in method. The engine is trusted to return what its specification says. */
const specified = <From, To>(
  found: ((arg?: unknown) => unknown) | undefined
): ((value: From) => To) | undefined => (found === undefined ? undefined : (value) => found(value) as To)

const textMethod = <From, To>(type: string, name: string): ((value: From) => To) => {
  const Type: unknown = Reflect.get(globalThis, type)
  const instance: unknown = isFunction(Type) ? Reflect.construct(Type, []) : undefined
  const found =
    typeof instance === "object" && instance !== null
      ? specified<From, To>(method(instance, instance, name))
      : undefined
  if (found === undefined) throw new TypeError(`fetch needs ${type}.${name}, which this engine does not have`)
  return found
}

/** Completes the options with the engine's own functions. */
export const makeEnvironment = (options: FetchOptions): Environment => {
  const globals: Partial<Pick<typeof globalThis, "URL" | "AbortController" | "DOMException">> = globalThis
  const { URL, AbortController, DOMException } = globals
  return {
    send: options.send,
    ReadableStream: options.ReadableStream,
    encode: options.encode ?? textMethod("TextEncoder", "encode"),
    decode: options.decode ?? textMethod("TextDecoder", "decode"),
    toBase64: options.toBase64 ?? specified(method(undefined, Uint8Array.prototype, "toBase64")) ?? toBase64,
    fromBase64: options.fromBase64 ?? specified(method(Uint8Array, Uint8Array, "fromBase64")) ?? fromBase64,
    normalise: (url) => (URL === undefined ? url : new URL(url).href),
    idleSignal: () => (AbortController === undefined ? undefined : new AbortController().signal),
    makeError: (name, message) => {
      if (name === "TypeError") return new TypeError(message)
      return DOMException === undefined
        ? Object.assign(new Error(message), { name })
        : new DOMException(message, name)
    }
  }
}
