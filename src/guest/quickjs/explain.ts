/** What a reply says for those who read it: which level has a global that is missing here, and when memory ended. */
import { Leftover, nonceLength, noNonce, type ProblemOrigin, ReplyType } from "../../wire/messages.ts"

/** Globals of Node that are not here. */
const elsewhere: ReadonlySet<string> = new Set([
  "Atomics",
  "Blob",
  "BroadcastChannel",
  "Buffer",
  "ByteLengthQueuingStrategy",
  "CompressionStream",
  "CountQueuingStrategy",
  "DecompressionStream",
  "File",
  "FormData",
  "Intl",
  "MessageChannel",
  "MessagePort",
  "PerformanceObserver",
  "ReadableStream",
  "TextDecoderStream",
  "TextEncoderStream",
  "TransformStream",
  "WebAssembly",
  "WebSocket",
  "Worker",
  "WritableStream",
  "__dirname",
  "__filename",
  "module",
  "navigator",
  "require"
])

const missing = /^((?:ReferenceError: )?'?([A-Za-z_$][\w$]*)'? is not defined)$/

const hinted = (message: string): string | undefined => {
  const [, said, name] = missing.exec(message) ?? []
  if (name === undefined || !elsewhere.has(name)) return undefined
  return `${said} (isolation "wasm" does not have it; isolation "process" and "thread" do)`
}

const outOfMemory = /\bInternalError: out of memory\b/
/** What is left of that error where there was no room to make it. */
const outOfMemoryRest = /\bInternalError: \(no message\)|^null: null$|\bthrew null\b/

export const outOfMemoryReason = (limit: number): string =>
  `it used up its memory, its limit is ${limit} MiB (limits.memory)`

export interface Memory {
  /** MiB. */
  readonly limit: number
  /** Whether so much of it has been in use that it may have ended. */
  readonly full: boolean
}

/** What its module was refused with, if that is what ended the load. */
const withOrigin = (
  failure: object,
  originOf: (message: string) => ProblemOrigin | undefined
): object | undefined => {
  const message: unknown = Reflect.get(Object(Reflect.get(failure, "cause")), "message")
  const origin = typeof message === "string" ? originOf(message) : undefined
  return origin === undefined ? undefined : { ...failure, ...origin }
}

/** The same reply, or one that says more. */
export const explain = (
  text: string,
  memory: Memory,
  originOf: (message: string) => ProblemOrigin | undefined
): string => {
  const type = text[0]
  const isOutput = type === ReplyType.output
  if (
    !isOutput &&
    type !== ReplyType.thrown &&
    type !== ReplyType.uncrossable &&
    type !== ReplyType.loadFailed
  )
    return text
  const markAt = type === ReplyType.loadFailed ? undefined : 1 + nonceLength
  // Nothing is left behind: the memory is put back.
  const clean =
    markAt === undefined || text[markAt] === Leftover.none
      ? text
      : text.slice(0, markAt) + Leftover.none + text.slice(markAt + 1)
  if (isOutput) return clean
  const bodyAt = markAt === undefined ? 1 + nonceLength : markAt + 1
  const said: unknown = JSON.parse(clean.slice(bodyAt))
  const name = typeof said === "object" && said !== null ? Reflect.get(said, "name") : undefined
  const message: unknown = typeof said === "string" ? said : Reflect.get(Object(said), "message")
  if (typeof message !== "string") return clean
  const whole = name === undefined ? message : `${name}: ${message}`
  if (outOfMemory.test(whole) || (memory.full && outOfMemoryRest.test(whole))) {
    return `${ReplyType.crashed}${noNonce}${JSON.stringify(outOfMemoryReason(memory.limit))}`
  }
  const better = name === undefined || name === "ReferenceError" ? hinted(message) : undefined
  if (better === undefined) {
    const placed =
      type === ReplyType.loadFailed && typeof said === "object" && said !== null
        ? withOrigin(said, originOf)
        : undefined
    return placed === undefined ? clean : clean.slice(0, bodyAt) + JSON.stringify(placed)
  }
  const body = typeof said === "string" ? better : { ...Object(said), message: better }
  return clean.slice(0, bodyAt) + JSON.stringify(body)
}
