/**
 * The built-ins that `fetch` uses, captured before any plugin code runs. Both engines have them, except
 * `ReadableStream`.
 */
import { apply } from "../shared/intrinsics.ts"

export const CapturedPromise = Promise
/** `undefined` in QuickJS, where bodies are async iterables. */
export const Stream: typeof ReadableStream | undefined = Reflect.get(globalThis, "ReadableStream")
const { AbortController, DOMException, TypeError, URL } = globalThis
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const { encode: encodeText } = encoder
const { decode: decodeBytes } = decoder

/** Encodes as UTF-8. */
export const encode = (text: string): Uint8Array<ArrayBuffer> => apply(encodeText, encoder, [text])

/** Decodes UTF-8 and drops a byte order mark. */
export const decode = (bytes: Uint8Array): string => apply(decodeBytes, decoder, [bytes])

/** The canonical form of an absolute URL. Throws for any other text. */
export const normalise = (url: string): string => new URL(url).href

/** A signal that is never aborted. */
export const idleSignal = (): AbortSignal => new AbortController().signal

/** An error like the Web's own. */
export const makeError = (name: string, message: string): Error =>
  name === "TypeError" ? new TypeError(message) : new DOMException(message, name)
