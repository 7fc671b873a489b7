/** The port that an isolation level implements: send to a guest, receive from it, kill it. */
import type { Effect } from "effect"
import type { GuestModules } from "../../modules/GuestModules.ts"
import type { LongText } from "../../wire/runInput.ts"

/** Why an isolate ended. */
export interface Death {
  readonly reason: string
  readonly exitCode?: number
}

export interface TransportEvents {
  /** A message arrived. A guest sends texts; anything else breaks the protocol. */
  readonly message: (message: unknown) => void
  /** The guest sent something that cannot be split into messages; nothing more is read. */
  readonly broken: (what: string) => void
  /** The isolate is gone; no message follows. */
  readonly died: (death: Death) => void
}

/** What an isolate has used so far. */
export interface Usage {
  /** Bytes on and off the heap that the level can see. */
  readonly memory: number
  /** Processor time in milliseconds; `undefined` if the level cannot see it. */
  readonly cpu: number | undefined
  /** Of an isolate in the host's own process: bytes that its engine accounts for, in use or not. */
  readonly accounted?: number
  /** Whether it may use more memory, up to its limit, that is not counted here. */
  readonly hasMore?: boolean
}

export interface Transport {
  /** `texts`: the long texts of the one request in `text`. Only a thread gets any. */
  readonly send: (text: string, texts?: ReadonlyArray<LongText>) => void
  /** Sends the load request; from then on the guest gets its modules from `modules`. */
  readonly load: (text: string, modules: GuestModules | undefined, outputLength: number) => void
  /** Whether the host's process stays alive for this isolate. */
  readonly hold: (held: boolean) => void
  /** Kills the isolate. `true` once it is gone, `false` if it is still there after `deathWait`. Can be repeated. */
  readonly kill: Effect.Effect<boolean>
  readonly usage: () => Promise<Usage>
}

/** Milliseconds that a host waits for an isolate to die before it counts as a zombie. */
export const deathWait = 250
