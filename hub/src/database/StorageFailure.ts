/** Explains failures of the database to clients and operators. */
import { Cause, Effect } from "effect"
import { SqlError } from "effect/sql"

/** The database currently refuses every operation. Nothing was written; the operation can be retried later. */
export interface StorageFailure {
  /** A sentence without paths or contents. */
  readonly text: string
  /** Seconds to wait before a retry. */
  readonly retryAfter: number
}

const locked = { text: "The hub's database is locked by another process; try again", retryAfter: 1 }
const readOnly = {
  text: "The hub's database cannot be written to: it, or its disk, is read-only",
  retryAfter: 30
}
const failing = { text: "The disk of the hub's database fails to read or write", retryAfter: 30 }
const damaged = { text: "The hub's database is damaged; stop the hub and restore a backup", retryAfter: 60 }
const full = { text: "The disk of the hub's database is full", retryAfter: 10 }
const unreachable = { text: "The hub's database cannot be reached; try again", retryAfter: 1 }
const busy = { text: "The hub's database is busy; try again", retryAfter: 1 }

/** Keyed by SQLite's primary result codes and PostgreSQL's SQLSTATEs. */
const failures: Readonly<Record<number | string, StorageFailure>> = {
  5: locked,
  6: locked,
  8: readOnly,
  10: failing,
  11: damaged,
  13: full,
  14: failing,
  26: damaged,
  "25006": readOnly,
  "53100": full,
  // Sent on every connection while a server stops, and on new ones while it starts.
  "57P01": unreachable,
  "57P02": unreachable,
  "57P03": unreachable,
  "58030": failing,
  XX001: damaged,
  XX002: damaged
}

const codeOf = ({ reason: { cause } }: SqlError.SqlError): number | string => {
  if (!(cause instanceof Error)) return ""
  // The upper bits of an extended code only add detail.
  if ("errcode" in cause) return Number(cause.errcode) & 0xff
  return "code" in cause ? String(cause.code) : ""
}

const ofError = (error: unknown): StorageFailure | undefined => {
  if (!(error instanceof SqlError.SqlError)) return undefined
  const known = failures[codeOf(error)]
  if (known !== undefined) return known
  if (error.reason._tag === "ConnectionError") return unreachable
  return error.isRetryable ? busy : undefined
}

/** Returns `undefined` if the statement or the hub is at fault, not the state of the database. */
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

const isStorage = <E>(error: E): error is Extract<E, SqlError.SqlError> => error instanceof SqlError.SqlError

/** A failing database is not caused by the input, so make it a defect: the server responds with 500 or 503. */
export const storageIsDefect = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.catchIf(self, (error) => isStorage(error), Effect.die)
