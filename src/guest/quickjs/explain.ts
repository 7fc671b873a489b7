/**
 * Makes replies clearer for their reader: says which levels have a global that is missing here, and when memory ran
 * out.
 */
import { bodyOf, encodeReply, endsRun, noTag, typeOf, withBody, withoutLeftover } from "../../wire/codec.ts"
import { ReplyType } from "../../wire/messages.ts"
import { importStack } from "../shared/ModuleProblem.ts"
import { names } from "../shared/names.ts"
import type { ProblemOrigin } from "../../wire/modules.ts"

/** Globals of Node that this level lacks. */
const elsewhere: ReadonlySet<string> = new Set(
  names(`
    Atomics Blob BroadcastChannel Buffer ByteLengthQueuingStrategy CompressionStream CountQueuingStrategy
    DecompressionStream File FormData Intl MessageChannel MessagePort PerformanceObserver ReadableStream
    TextDecoderStream TextEncoderStream TransformStream WebAssembly WebSocket Worker WritableStream
    __dirname __filename module navigator require
  `)
)

const missing = /^((?:ReferenceError: )?'?([A-Za-z_$][\w$]*)'? is not defined)$/

const hinted = (message: string): string | undefined => {
  const [, said, name] = missing.exec(message) ?? []
  if (name === undefined || !elsewhere.has(name)) return undefined
  return `${said} (isolation "wasm" does not have it; isolation "process" and "thread" do)`
}

const outOfMemory = /\bInternalError: out of memory\b/
/** That error's text if there was no memory left to create the error. */
const outOfMemoryRest = /\bInternalError: \(no message\)|^null: null$|\bthrew null\b/

export const outOfMemoryReason = (limit: number): string =>
  `it used up its memory, its limit is ${limit} MiB (limits.memory)`

export interface Memory {
  /** In MiB. */
  readonly limit: number
  /** Whether so much memory has been used that it may have run out. */
  readonly full: boolean
}

type OriginOf = (message: string) => ProblemOrigin | undefined

const originIn = (error: unknown, originOf: OriginOf): ProblemOrigin | undefined => {
  const message: unknown = Reflect.get(Object(error), "message")
  return typeof message === "string" ? originOf(message) : undefined
}

/** The failure of a load with the place of the import, if a refused module ended the load; otherwise `undefined`. */
const withOrigin = (failure: object, originOf: OriginOf): object | undefined => {
  const origin = originIn(Reflect.get(failure, "cause"), originOf)
  return origin === undefined ? undefined : { ...failure, ...origin }
}

/** A thrown error with the place of the import as its stack, if it is a refused module; otherwise `undefined`. */
const withStack = (thrown: object, originOf: OriginOf): object | undefined => {
  const origin = originIn(thrown, originOf)
  const stack: unknown = Reflect.get(thrown, "stack")
  const isPlaced = typeof stack === "string" && stack.includes("file://")
  return origin === undefined || isPlaced ? undefined : { ...thrown, stack: importStack(origin).slice(1) }
}

/** Returns the reply, or one with a clearer message. */
export const explain = (text: string, memory: Memory, originOf: OriginOf): string => {
  const type = typeOf(text)
  if (!endsRun(type) && type !== ReplyType.loadFailed) return text
  // A run leaves nothing behind, because the memory is restored.
  const clean = endsRun(type) ? withoutLeftover(text) : text
  if (type === ReplyType.output) return clean
  const said: unknown = JSON.parse(bodyOf(clean))
  const name = typeof said === "object" && said !== null ? Reflect.get(said, "name") : undefined
  const message: unknown = typeof said === "string" ? said : Reflect.get(Object(said), "message")
  if (typeof message !== "string") return clean
  const whole = name === undefined ? message : `${name}: ${message}`
  if (outOfMemory.test(whole) || (memory.full && outOfMemoryRest.test(whole))) {
    return encodeReply(ReplyType.crashed, noTag, JSON.stringify(outOfMemoryReason(memory.limit)))
  }
  const better = name === undefined || name === "ReferenceError" ? hinted(message) : undefined
  if (better === undefined) {
    const add = type === ReplyType.loadFailed ? withOrigin : type === ReplyType.thrown ? withStack : undefined
    const placed = typeof said === "object" && said !== null ? add?.(said, originOf) : undefined
    return placed === undefined ? clean : withBody(clean, JSON.stringify(placed))
  }
  const body = typeof said === "string" ? better : { ...Object(said), message: better }
  return withBody(clean, JSON.stringify(body))
}
