/** What the clients know: every operation they sent, and the answer where they got one. */
import type { Text } from "./texts.ts"

/** `actor` and the start of each text name the operation, so that what came of it can be told. */
export type Change =
  | { readonly kind: "post"; readonly topic: string; readonly text: Text }
  | { readonly kind: "edit"; readonly message: string; readonly text: Text }
  | { readonly kind: "delete"; readonly message: string; readonly actor: string }

/** What a 2xx said. */
export interface Acknowledged {
  readonly message: string
  readonly content: string
  readonly version: number
  readonly deleted: boolean
  readonly event_id: number
}

export interface Operation {
  /** In the order of sending; of one message only one is under way at a time. */
  readonly number: number
  readonly change: Change
  /** Sent with an `Idempotency-Key`, so that it can be sent again. */
  readonly keyed: boolean
  /** How often. */
  sent: number
  /** `unknown`: the connection ended without an answer. `refused`: the message was deleted before. */
  outcome: "unknown" | "refused" | { readonly acknowledged: Acknowledged }
}

export interface Ledger {
  readonly operations: Array<Operation>
  begun: number
  acknowledged: number
  /** Answers that were kept from the first time. */
  replayed: number
  /** What no client should ever be told. */
  readonly unexpected: Array<string>
}

export const makeLedger = (): Ledger => ({
  operations: [],
  begun: 0,
  acknowledged: 0,
  replayed: 0,
  unexpected: []
})
