/** What it means when the database refuses: for whoever asked, and for whoever runs the hub. */
import { Cause } from "effect"
import { SqlError } from "effect/sql"

/** The database refuses whatever it is asked for now; it was not done, and may be tried again later. */
export interface StorageFailure {
  /** A sentence without paths or contents. */
  readonly text: string
  /** Seconds after which it is worth trying again. */
  readonly retryAfter: number
}

/** By SQLite's primary result codes. */
const byCode: Readonly<Record<number, StorageFailure>> = {
  5: { text: "The hub's database is locked by another process; try again", retryAfter: 1 },
  6: { text: "The hub's database is locked; try again", retryAfter: 1 },
  8: { text: "The hub's database cannot be written to: it, or its disk, is read-only", retryAfter: 30 },
  10: { text: "The disk of the hub's database fails to read or write", retryAfter: 30 },
  11: { text: "The hub's database is damaged; stop the hub and restore a backup", retryAfter: 60 },
  13: { text: "The disk of the hub's database is full", retryAfter: 10 },
  14: { text: "The hub's database cannot be opened", retryAfter: 30 },
  26: { text: "The hub's database is damaged; stop the hub and restore a backup", retryAfter: 60 }
}

const busy: StorageFailure = { text: "The hub's database is busy; try again", retryAfter: 1 }

const codeOf = ({ reason: { cause } }: SqlError.SqlError): number | undefined =>
  cause instanceof Error && "errcode" in cause && typeof cause.errcode === "number"
    ? // The upper bits only refine it.
      cause.errcode & 0xff
    : undefined

const ofError = (error: unknown): StorageFailure | undefined => {
  if (!(error instanceof SqlError.SqlError)) return undefined
  const code = codeOf(error)
  return (code === undefined ? undefined : byCode[code]) ?? (error.isRetryable ? busy : undefined)
}

/** `undefined` for what is not the database's state but the fault of a statement or of the hub. */
export const storageFailure = (cause: Cause.Cause<unknown>): StorageFailure | undefined => {
  for (const reason of cause.reasons) {
    const found = Cause.isFailReason(reason)
      ? ofError(reason.error)
      : Cause.isDieReason(reason)
        ? ofError(reason.defect)
        : undefined
    if (found !== undefined) return found
  }
  return undefined
}
