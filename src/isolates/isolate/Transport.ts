/** What an isolation level supplies: a way to talk to a guest, and a way to end it for certain. */
import type { Effect } from "effect"
import type { GuestModules } from "../../modules/GuestModules.ts"

/** How an isolate came to its end. */
export interface Death {
  readonly reason: string
  readonly exitCode?: number
}

export interface TransportEvents {
  /** Something arrived; a guest's message is a text, anything else breaks the protocol. */
  readonly message: (message: unknown) => void
  /** What arrives is no message of a guest, and never will be. */
  readonly broken: (what: string) => void
  /** The isolate is gone; nothing arrives after this. */
  readonly died: (death: Death) => void
}

/** What an isolate has used so far. */
export interface Usage {
  /** Bytes on and off the heap, as far as the level can see them. */
  readonly memory: number
  /** Processor time in milliseconds; `undefined` where the level cannot see it. */
  readonly cpu: number | undefined
  /** Of an isolate in the host's own process: bytes that its engine accounts for, in use or not. */
  readonly accounted?: number
  /** Whether it may have memory up to its limit beside that. */
  readonly hasMore?: boolean
}

export interface Transport {
  readonly send: (text: string) => void
  /** Sends the request to load; from then on the guest asks `modules` for its modules. */
  readonly load: (text: string, modules: GuestModules | undefined, outputLength: number) => void
  /** Whether the host's process stays alive for this isolate. */
  readonly hold: (held: boolean) => void
  /**
   * Ends the isolate; `true` once it is gone, `false` if it has not died within the time a host can wait.
   * May be called again.
   */
  readonly kill: Effect.Effect<boolean>
  readonly usage: () => Promise<Usage>
}

/** How long a host waits for an isolate to die, in milliseconds, before it counts it as a zombie. */
export const deathWait = 250
