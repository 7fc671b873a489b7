/**
 * The host's end of the protocol, on any transport: one request at a time, bound to its reply by a nonce.
 * Whatever else a guest sends is a violation, and the end of the isolate.
 */
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { Leftover, type LogLevel, nonceLength, noNonce, protocolVersion, Reply } from "../guest/protocol.ts"
import type { Limits } from "../Plugin.ts"
import type { Death, Transport, TransportEvents } from "./Transport.ts"

export interface GuestReply {
  readonly type: string
  /** JSON, not yet parsed. */
  readonly body: string
  readonly leftover: boolean
}

export type LogSink = (level: LogLevel, text: string) => void

interface Pending {
  readonly nonce: string
  readonly limits: Limits
  readonly log: LogSink
  settle: (result: Effect.Effect<GuestReply, Death>) => void
  logLines: number
  logLength: number
}

/** Room for what a guest says beside an output: a description of what was thrown, escaped. */
const otherReplyLength = 128 * 1024

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

  constructor(connect: (events: TransportEvents) => Transport) {
    this.#transport = connect({
      message: (message) => this.#message(message),
      died: (death) => this.#died(death)
    })
  }

  /** Whether it can take another request. */
  get usable(): boolean {
    return this.#death === undefined && this.#condemned === undefined && this.#pending === undefined
  }

  /** Whether it was to die and has not. */
  get lingers(): boolean {
    return this.#condemned !== undefined && this.#death === undefined
  }

  readonly memory = (): Promise<number> => this.#transport.memory()

  /** Ends it; `false` if it could not be confirmed gone in time. */
  get kill(): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      this.#condemned ??= "it was terminated"
      return this.#death === undefined ? this.#transport.kill : Effect.succeed(true)
    })
  }

  /** Ends it for a reason that becomes its cause of death. */
  condemn(reason: string): void {
    if (this.#condemned !== undefined || this.#death !== undefined) return
    this.#condemned = reason
    Effect.runFork(this.#transport.kill)
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
    limits: Limits,
    log: LogSink
  ): Effect.Effect<GuestReply, Death> {
    return Effect.callback<GuestReply, Death>((resume) => {
      if (this.#death !== undefined) return resume(Effect.fail(this.#death))
      const nonce = randomUUID()
      this.#pending = { nonce, limits, log, settle: resume, logLines: 0, logLength: 0 }
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
    if (type === Reply.log) return this.#log(pending, nonce, message)
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

  #log(pending: Pending | undefined, nonce: string, message: string): void {
    // A line from after the reply: the run is over, and so is its log.
    if (pending === undefined || nonce !== pending.nonce) return
    pending.logLines++
    pending.logLength += message.length
    // The guest caps first; JSON escapes can make a text up to six times as long.
    if (
      pending.logLines > pending.limits.logLines + 1 ||
      pending.logLength > 6 * pending.limits.logLength + 64 * 1024
    ) {
      return this.#violation("more log lines than its limit")
    }
    try {
      const line: unknown = JSON.parse(message.slice(1 + nonceLength))
      if (typeof line === "object" && line !== null && "level" in line && "text" in line) {
        if (isLevel(line.level) && typeof line.text === "string") return pending.log(line.level, line.text)
      }
      this.#violation("a log line of another shape")
    } catch {
      this.#violation("a log line that is not JSON")
    }
  }
}
