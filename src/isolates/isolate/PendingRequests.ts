/** The requests that an isolate has not answered, in order. The guest is working on the first. */
import { randomBytes } from "node:crypto"
import { makeTag, secretLength } from "../../wire/codec.ts"
import type { AuditLine, LogLevel } from "../../wire/messages.ts"
import type { Limits } from "../../Plugin.ts"
import type { Death } from "./Transport.ts"

export interface GuestReply {
  readonly type: string
  /** JSON, not yet parsed. */
  readonly body: string
  /** A `Leftover`. */
  readonly leftover: string
}

/** Takes what a guest may send before its reply to a request. */
export interface SideMessages {
  readonly log: (level: LogLevel, text: string) => void
  /** Takes a part of a `fetch`; returns what is wrong with it, if anything. */
  readonly net: (json: string) => string | undefined
  readonly audit: (line: AuditLine) => void
}

/** Takes the outcome of a request: exactly one of these is called, once. */
export interface RequestOutcome {
  readonly replied: (reply: GuestReply) => void
  /** The isolate died while it worked on the request. */
  readonly died: (death: Death) => void
  /** The isolate will not start the request. */
  readonly notStarted: () => void
  /** The host's own code threw when it took a side message. */
  readonly defect: (defect: unknown) => void
}

export interface RequestHandler extends RequestOutcome {
  readonly limits: Limits
  /**
   * All requests before it are answered. As far as the host knows, the guest has been able to start this one since `at`, as
   * `performance.now()` counts.
   */
  readonly begun: (at: number) => void
  readonly side: SideMessages | undefined
}

export interface PendingRequest {
  /** Binds the reply to this request. */
  readonly tag: string
  readonly handler: RequestHandler
  outcome: RequestOutcome
  logLines: number
  logLength: number
  /** Characters. */
  readonly size: number
  next: PendingRequest | undefined
}

/** The outcome of a request whose caller no longer waits. */
export const ignoreOutcome: RequestOutcome = {
  replied: () => {},
  died: () => {},
  notStarted: () => {},
  defect: () => {}
}

/** A linked list: an array takes longer to lose its first item the longer it is. */
export class PendingRequests {
  first: PendingRequest | undefined
  #last: PendingRequest | undefined
  readonly #secret = randomBytes(secretLength).toString("base64url").slice(0, secretLength)
  /** Requests added so far. */
  #count = 0
  length = 0
  /** Characters of all of them. */
  size = 0

  add(handler: RequestHandler, size: number): PendingRequest {
    const request: PendingRequest = {
      tag: makeTag(this.#secret, this.#count++),
      handler,
      outcome: handler,
      logLines: 0,
      logLength: 0,
      size,
      next: undefined
    }
    if (this.#last === undefined) this.first = request
    else this.#last.next = request
    this.#last = request
    this.length++
    this.size += size
    return request
  }

  shift(): PendingRequest | undefined {
    const { first } = this
    if (first === undefined) return undefined
    this.first = first.next
    if (this.first === undefined) this.#last = undefined
    // Otherwise an old request would keep all younger ones in memory until the next full collection.
    first.next = undefined
    this.length--
    this.size -= first.size
    return first
  }

  /** Removes all but the first; the caller passes them to `returnUnstarted`. */
  detach(): PendingRequest | undefined {
    const rest = this.first?.next
    if (this.first !== undefined) this.first.next = undefined
    this.#last = this.first
    this.length = this.first === undefined ? 0 : 1
    this.size = this.first?.size ?? 0
    return rest
  }
}

/** Tells detached requests that they were not started. */
export const returnUnstarted = (first: PendingRequest | undefined): void => {
  for (let request = first; request !== undefined; request = request.next) request.outcome.notStarted()
}
