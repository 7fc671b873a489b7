/** Checks what a guest sends besides its reply, and passes it to the handler of the request that the guest works on. */
import type { PluginTimeout } from "../../Errors.ts"
import { bodyOf, tagOf } from "../../wire/codec.ts"
import { type LogLevel, ReplyType, Waiting } from "../../wire/messages.ts"
import { defaultLimits } from "../../Plugin.ts"
import type { PendingRequest, RequestHandler } from "./PendingRequests.ts"

/** Characters of an audit line. */
const maxAuditLength = 8_192

const levels: ReadonlySet<string> = new Set<LogLevel>(["Debug", "Info", "Warn", "Error"])
const isLevel = (value: unknown): value is LogLevel => typeof value === "string" && levels.has(value)

const types: ReadonlySet<string> = new Set([ReplyType.log, ReplyType.net, ReplyType.audit, ReplyType.waiting])

/** Whether messages of a type are side messages. */
export const isSideMessage = (type: string): boolean => types.has(type)

export interface SideMessageReaderOptions {
  /** The guest broke the protocol. */
  readonly violation: (what: string) => void
  /** The host's own code threw when it took a message. */
  readonly defect: (defect: unknown) => void
}

export class SideMessageReader {
  readonly #options: SideMessageReaderOptions
  /** Messages in this second. */
  #rate = { second: 0, messages: 0 }
  #waitsFor: PluginTimeout["waitingFor"]

  constructor(options: SideMessageReaderOptions) {
    this.#options = options
  }

  /** What the load waited for when its guest had nothing else to do. */
  get waitsFor(): PluginTimeout["waitingFor"] {
    return this.#waitsFor
  }

  /** `pending` is the request that the guest works on. */
  read(pending: PendingRequest | undefined, type: string, message: string): void {
    const second = Math.floor(performance.now() / 1000)
    if (second !== this.#rate.second) this.#rate = { second, messages: 0 }
    // Every message counts: one that belongs to no request costs the host as much.
    const limit = pending?.handler.limits.messageRate ?? defaultLimits.messageRate
    if (++this.#rate.messages > limit) {
      return this.#options.violation(`more than ${limit} messages in a second (limits.messageRate)`)
    }
    // It came after the reply, so it is ignored: the run is over, with its log and its network requests.
    if (pending === undefined || tagOf(message) !== pending.tag) return
    if (type === ReplyType.log) return this.#log(pending, message)
    const body = bodyOf(message)
    if (type === ReplyType.waiting) {
      this.#waitsFor = body === Waiting.config ? "configSchema" : "top-level await"
      return
    }
    if (type === ReplyType.audit) return this.#audit(pending.handler, body)
    const problem = pending.handler.side?.net(body)
    if (problem !== undefined) this.#options.violation(problem)
  }

  #log(pending: PendingRequest, message: string): void {
    const { handler } = pending
    pending.logLines++
    pending.logLength += message.length
    // The guest caps first. JSON escapes can make a text up to six times as long.
    if (
      pending.logLines > handler.limits.logLines + 1 ||
      pending.logLength > 6 * handler.limits.logLength + 64 * 1024
    ) {
      return this.#options.violation("more log lines than its limit")
    }
    const line = objectIn(bodyOf(message))
    if (!isLevel(line?.level) || typeof line?.text !== "string") {
      return this.#options.violation("a log line of another shape")
    }
    const { level, text } = line
    this.#pass(() => handler.side?.log(level, text))
  }

  #audit(handler: RequestHandler, body: string): void {
    const line = body.length > maxAuditLength ? undefined : objectIn(body)
    const capability = line?.capability
    if (
      (capability !== "read" && capability !== "write" && capability !== "env") ||
      typeof line?.what !== "string"
    )
      return this.#options.violation("an audit line of another shape")
    const { what } = line
    this.#pass(() => handler.side?.audit({ capability, what }))
  }

  /** If the host's own code throws, that is a defect of the run and not the plugin's fault. */
  #pass(take: () => void): void {
    try {
      take()
    } catch (defect) {
      this.#options.defect(defect)
    }
  }
}

/** The members of the object that a JSON text holds; `undefined` for any other text. */
const objectIn = (json: string): { readonly [key: string]: unknown } | undefined => {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === "object" && value !== null ? { ...value } : undefined
  } catch {
    // Not JSON, so no object.
    return undefined
  }
}
