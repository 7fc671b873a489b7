/** What an isolate was handed and has not answered, in order; the first is what its guest is at. */
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

/** What a guest may do while it works on a request. */
export interface SideMessages {
  readonly limits: Limits
  readonly log: (level: LogLevel, text: string) => void
  /** Takes a part of a `fetch`; answers what is wrong with it, if anything is. */
  readonly net: (json: string) => string | undefined
  readonly audit: (line: AuditLine) => void
}

/** Told what became of a request: one of these, once. */
export interface RequestOutcome {
  readonly replied: (reply: GuestReply) => void
  /** The isolate died while it worked on it. */
  readonly died: (death: Death) => void
  /** The isolate's use ended before it began. */
  readonly notStarted: () => void
  /** The host's own code could not take what the guest said. */
  readonly defect: (defect: unknown) => void
}

export interface RequestHandler extends SideMessages, RequestOutcome {
  /** All before it is answered: as far as a host can know, the guest begins it now. */
  readonly begun: () => void
}

export interface PendingRequest {
  /** Binds the reply to this request. */
  readonly tag: string
  readonly handler: RequestHandler
  outcome: RequestOutcome
  logLines: number
  logLength: number
  next: PendingRequest | undefined
}

/** Nobody is waiting any more. */
export const ignoreOutcome: RequestOutcome = {
  replied: () => {},
  died: () => {},
  notStarted: () => {},
  defect: () => {}
}

/** A list of its own rather than an array: the first is taken off in no time, however many follow. */
export class PendingRequests {
  first: PendingRequest | undefined
  #last: PendingRequest | undefined
  readonly #secret = randomBytes(secretLength).toString("base64url").slice(0, secretLength)
  /** Requests added so far. */
  #count = 0
  length = 0

  add(handler: RequestHandler): PendingRequest {
    const request: PendingRequest = {
      tag: makeTag(this.#secret, this.#count++),
      handler,
      outcome: handler,
      logLines: 0,
      logLength: 0,
      next: undefined
    }
    if (this.#last === undefined) this.first = request
    else this.#last.next = request
    this.#last = request
    this.length++
    return request
  }

  shift(): PendingRequest | undefined {
    const { first } = this
    if (first === undefined) return undefined
    this.first = first.next
    if (this.first === undefined) this.#last = undefined
    this.length--
    return first
  }

  /** Lets go of all behind the first; the caller gives them back by `returnUnstarted`. */
  detach(): PendingRequest | undefined {
    const rest = this.first?.next
    if (this.first !== undefined) this.first.next = undefined
    this.#last = this.first
    this.length = this.first === undefined ? 0 : 1
    return rest
  }
}

/** Tells those that were detached that they have not begun. */
export const returnUnstarted = (first: PendingRequest | undefined): void => {
  for (let request = first; request !== undefined; request = request.next) request.outcome.notStarted()
}
