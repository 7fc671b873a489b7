/** What an isolation level supplies: a way to talk to a guest, and a way to end it for certain. */
import type { Effect } from "effect"
import type { LoadRequest } from "../guest/protocol.ts"

/** How an isolate came to its end. */
export interface Death {
  readonly reason: string
  readonly exitCode?: number
}

export interface TransportEvents {
  /** Something arrived; a guest's message is a text, anything else breaks the protocol. */
  readonly message: (message: unknown) => void
  /** The isolate is gone; nothing arrives after this. */
  readonly died: (death: Death) => void
}

export interface Transport {
  readonly send: (text: string) => void
  readonly load: (request: LoadRequest) => void
  /** Whether the host's process stays alive for this isolate. */
  readonly hold: (held: boolean) => void
  /**
   * Ends the isolate; `true` once it is gone, `false` if it has not died within the time a host can wait.
   * May be called again.
   */
  readonly kill: Effect.Effect<boolean>
  /** Bytes on and off the heap, as far as the level can see them. */
  readonly memory: () => Promise<number>
}
