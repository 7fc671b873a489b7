/**
 * The host's end of the protocol, on any transport: one request at a time, bound to its reply by a nonce.
 * Whatever else a guest sends is a violation, and the end of the isolate.
 */
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import {
  type AuditLine,
  Leftover,
  type LogLevel,
  nonceLength,
  noNonce,
  protocolVersion,
  Reply
} from "../guest/protocol.ts"
import { defaultLimits, type Limits } from "../Plugin.ts"
import type { Death, Transport, TransportEvents, Usage } from "./Transport.ts"

export interface GuestReply {
  readonly type: string
  /** JSON, not yet parsed. */
  readonly body: string
  readonly leftover: boolean
}

export type LogSink = (level: LogLevel, text: string) => void

/** What a guest may do while it works on a request. */
export interface Conversation {
  readonly limits: Limits
  readonly log: LogSink
  /** Takes a part of a `fetch`; answers what is wrong with it, if anything is. */
  readonly net: (json: string) => string | undefined
  readonly audit: (line: AuditLine) => void
}

interface Pending extends Conversation {
  readonly nonce: string
  settle: (result: Effect.Effect<GuestReply, Death>) => void
  logLines: number
  logLength: number
}

/** Room for what a guest says beside an output: a description of what was thrown, escaped. */
const otherReplyLength = 128 * 1024

/** What is looked at in the text of an audit line. */
const maxAuditLength = 8_192

const levels: ReadonlySet<string> = new Set<LogLevel>(["Debug", "Info", "Warn", "Error"])
const isLevel = (value: unknown): value is LogLevel => typeof value === "string" && levels.has(value)

const hasMark = (type: string): boolean =>
  type === Reply.output || type === Reply.thrown || type === Reply.uncrossable

export class Isolate {
  readonly #transport: Transport
  readonly #hello: { settle: (result: Effect.Effect<void, Death>) => void } = { settle: () => {} }
  #greeted = false
  #pending: Pending | undefined
  #death: Death | undefined
  #condemned: string | undefined
  #undead = false
  /** Messages that answer nothing, and the second they came in. */
  #rate = { second: 0, messages: 0 }

  constructor(connect: (events: TransportEvents) => Transport) {
    this.#transport = connect({
      message: (message) => this.#message(message),
      broken: (what) => this.#violation(what),
      died: (death) => this.#died(death)
    })
  }

  /** Whether it can take another request. */
  get usable(): boolean {
    return this.#death === undefined && this.#condemned === undefined && this.#pending === undefined
  }

  /** Whether it is to die: there is no more asking it for anything. */
  get doomed(): boolean {
    return this.#condemned !== undefined
  }

  /** Whether it was to die and has not, for longer than a host waits. */
  get undead(): boolean {
    return this.#undead && this.#death === undefined
  }

  /** Whether it is answered with frames of bytes when it asks for modules. */
  get framed(): boolean {
    return this.#transport.framed
  }

  readonly usage = (): Promise<Usage> => this.#transport.usage()

  /** Tells the guest something that asks for no reply. */
  tell(text: string): void {
    if (this.#death === undefined) this.#transport.send(text)
  }

  /** Ends it; `false` if it could not be confirmed gone in time. */
  get kill(): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      this.#condemned ??= "it was terminated"
      return this.#death === undefined ? this.#end : Effect.succeed(true)
    })
  }

  /** Ends it for a reason that becomes its cause of death. */
  condemn(reason: string): void {
    if (this.#condemned !== undefined || this.#death !== undefined) return
    this.#condemned = reason
    Effect.runFork(this.#end)
  }

  get #end(): Effect.Effect<boolean> {
    return Effect.tap(this.#transport.kill, (gone) =>
      Effect.sync(() => {
        this.#undead = !gone
      })
    )
  }

  /** Waits for the guest's first message. */
  readonly booted: Effect.Effect<void, Death> = Effect.callback<void, Death>((resume) => {
    if (this.#death !== undefined) resume(Effect.fail(this.#death))
    else if (this.#greeted) resume(Effect.void)
    else this.#hello.settle = resume
  })

  /**
   * Sends what `send` makes of a fresh nonce and waits for its reply. Interruption only stops the waiting:
   * whoever interrupts also kills, because what answers now would answer for nobody.
   */
  request(
    send: (transport: Transport, nonce: string) => void,
    conversation: Conversation
  ): Effect.Effect<GuestReply, Death> {
    return Effect.callback<GuestReply, Death>((resume) => {
      if (this.#death !== undefined) return resume(Effect.fail(this.#death))
      const nonce = randomUUID()
      this.#pending = { ...conversation, nonce, settle: resume, logLines: 0, logLength: 0 }
      this.#transport.hold(true)
      send(this.#transport, nonce)
    })
  }

  /** Asks the plugin to stop by itself, and waits until it has answered or died; its answer counts no more. */
  abort(text: string): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.#pending === undefined) return resume(Effect.void)
      this.#pending.settle = () => resume(Effect.void)
      this.#transport.send(text)
    }).pipe(Effect.interruptible)
  }

  #settle(result: Effect.Effect<GuestReply, Death>): void {
    const pending = this.#pending
    this.#pending = undefined
    this.#transport.hold(false)
    pending?.settle(result)
  }

  #died(death: Death): void {
    this.#death = this.#condemned === undefined ? death : { ...death, reason: this.#condemned }
    this.#hello.settle(Effect.fail(this.#death))
    if (this.#pending !== undefined) this.#settle(Effect.fail(this.#death))
  }

  #violation(what: string): void {
    this.condemn(`it broke the protocol: ${what}`)
  }

  #message(message: unknown): void {
    if (this.#condemned !== undefined) return
    if (typeof message !== "string") return this.#violation(`a ${typeof message} came where a text was due`)
    const type = message[0] ?? ""
    const nonce = message.slice(1, 1 + nonceLength)
    if (!this.#greeted) return this.#greet(type, nonce, message)
    const pending = this.#pending
    if (type === Reply.log || type === Reply.net || type === Reply.audit) {
      return this.#aside(pending, type, nonce, message)
    }
    if (type === Reply.crashed) return this.#crashed(message)
    if (pending === undefined || nonce !== pending.nonce) {
      return this.#violation("a reply came that nobody had asked for")
    }
    const bodyAt = 1 + nonceLength + (hasMark(type) ? 1 : 0)
    const room = type === Reply.output ? pending.limits.outputLength : otherReplyLength
    if (message.length - bodyAt > room) return this.#violation(`a reply of ${message.length} characters`)
    const leftover = hasMark(type) && message[bodyAt - 1] !== Leftover.none
    this.#settle(Effect.succeed({ type, body: message.slice(bodyAt), leftover }))
  }

  #greet(type: string, nonce: string, message: string): void {
    if (type === Reply.log) return
    if (type === Reply.crashed) return this.#crashed(message)
    const hello = `{"protocol":${protocolVersion}}`
    if (type !== Reply.hello || nonce !== noNonce || message.slice(1 + nonceLength) !== hello) {
      return this.#violation(`its hello was not ${hello}`)
    }
    this.#greeted = true
    this.#hello.settle(Effect.void)
  }

  /** The guest's own last words; it ends itself, the kill only makes sure. */
  #crashed(message: string): void {
    const body = message.slice(1 + nonceLength)
    try {
      const reason: unknown = body.length > otherReplyLength ? undefined : JSON.parse(body)
      this.condemn(typeof reason === "string" ? reason : "it crashed")
    } catch {
      this.#violation("a last word that is not JSON")
    }
  }

  /** What a guest says beside its reply. */
  #aside(pending: Pending | undefined, type: string, nonce: string, message: string): void {
    const second = Math.floor(performance.now() / 1000)
    if (second !== this.#rate.second) this.#rate = { second, messages: 0 }
    // Counted whoever they are from: nobody's messages cost the host as much as anybody's.
    const limit = pending?.limits.messageRate ?? defaultLimits.messageRate
    if (++this.#rate.messages > limit) {
      return this.#violation(`more than ${limit} messages in a second (limits.messageRate)`)
    }
    // From after the reply: the run is over, and so are its log and its requests.
    if (pending === undefined || nonce !== pending.nonce) return
    if (type === Reply.log) return this.#log(pending, message)
    const body = message.slice(1 + nonceLength)
    if (type === Reply.audit) return this.#audit(pending, body)
    const problem = pending.net(body)
    if (problem !== undefined) this.#violation(problem)
  }

  #log(pending: Pending, message: string): void {
    pending.logLines++
    pending.logLength += message.length
    // The guest caps first; JSON escapes can make a text up to six times as long.
    if (
      pending.logLines > pending.limits.logLines + 1 ||
      pending.logLength > 6 * pending.limits.logLength + 64 * 1024
    ) {
      return this.#violation("more log lines than its limit")
    }
    const line = objectIn(message.slice(1 + nonceLength))
    if (!isLevel(line?.level) || typeof line?.text !== "string") {
      return this.#violation("a log line of another shape")
    }
    const { level, text } = line
    this.#hand(() => pending.log(level, text))
  }

  /** Lets the host's own code take what came: what that throws is the run's defect, not the plugin's fault. */
  #hand(take: () => void): void {
    try {
      take()
    } catch (defect) {
      // Condemned first: whoever the defect wakes must not find it usable.
      this.condemn("the host could not take what it said")
      this.#settle(Effect.die(defect))
    }
  }

  #audit(pending: Pending, body: string): void {
    const line = body.length > maxAuditLength ? undefined : objectIn(body)
    const capability = line?.capability
    if (
      (capability !== "read" && capability !== "write" && capability !== "env") ||
      typeof line?.what !== "string"
    )
      return this.#violation("an audit line of another shape")
    const { what } = line
    this.#hand(() => pending.audit({ capability, what }))
  }
}

/** The members of an object that a text is the JSON of. */
const objectIn = (json: string): { readonly [key: string]: unknown } | undefined => {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === "object" && value !== null ? { ...value } : undefined
  } catch {
    // Not JSON: not an object.
    return undefined
  }
}
