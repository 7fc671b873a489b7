/**
 * The built-ins that `fetch` goes by, taken when it is made, before any plugin code runs. ECMAScript alone where
 * there is no more: it runs in Node's threads and processes and in QuickJS alike.
 */
import { fromBase64, toBase64 } from "./base64.ts"

export const { apply } = Reflect
export const { parse, stringify } = JSON
export const Bytes = Uint8Array
export const CapturedPromise = Promise
const { toString } = Object.prototype
/** `[object URLSearchParams]` and the like: a kind of object that need not exist here. */
export const tagOf = (value: unknown): string => apply(toString, value, [])

/** JSON of a string; a patched `String.prototype.toJSON` must not decide whether it is one. */
export const quote = (text: string): string => {
  const json: unknown = apply(stringify, undefined, [text])
  return typeof json === "string" ? json : '""'
}

/** What `fetch` is made of. */
export interface FetchOptions {
  /** Takes a text to the host's broker. */
  readonly send: (json: string) => void
  /** Bodies are async iterables where it is left out. */
  readonly ReadableStream?: typeof ReadableStream
  /** UTF-8. Default: the global `TextEncoder`'s. */
  readonly encode?: (text: string) => Uint8Array
  /** UTF-8, without a byte order mark. Default: the global `TextDecoder`'s. */
  readonly decode?: (bytes: Uint8Array) => string
  /** Default: the engine's, or one in JavaScript. */
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
  /** An absolute URL as it is written canonically; throws for anything else. */
  readonly normalise: (url: string) => string
  /** A signal that nobody aborts; `undefined` where there are none. */
  readonly idleSignal: () => AbortSignal | undefined
  /** An error as the Web's own are: a `DOMException` where there is one. */
  readonly makeError: (name: string, message: string) => Error
}

type AnyFunction = (...args: ReadonlyArray<never>) => unknown
const isFunction = (value: unknown): value is AnyFunction => typeof value === "function"

/** A built-in's method, bound to `self` for good; `undefined` where there is none. */
const method = (self: unknown, from: object, name: string): ((arg?: unknown) => unknown) | undefined => {
  const found: unknown = Reflect.get(from, name)
  return isFunction(found)
    ? (arg) => (self === undefined ? apply(found, arg, []) : apply(found, self, [arg]))
    : undefined
}

/** Trusts the engine's own function to answer what it is specified to. */
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

/** Takes what is not given from the engine. */
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
