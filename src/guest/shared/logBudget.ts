/**
 * Limits the log lines of a run. Lines over the budget are dropped and counted here, before they can fill a queue.
 */
import { cut } from "./intrinsics.ts"
import type { GuestLimits, LogLevel } from "../../wire/messages.ts"

export interface LogBudget {
  readonly line: (level: LogLevel, text: string) => void
  /** Whether the budget is used up. */
  readonly spent: () => boolean
  /** Counts a dropped line that was never formatted. */
  readonly drop: () => void
  /** Starts the budget of a new run. */
  readonly begin: (limits: GuestLimits) => void
  /** Logs how many lines were dropped, if any. */
  readonly end: () => void
}

/** `send` must not throw. */
export const makeLogBudget = (send: (level: LogLevel, text: string) => void): LogBudget => {
  let linesLeft = 0
  let lengthLeft = 0
  let dropped = 0
  const spent = (): boolean => linesLeft <= 0 || lengthLeft <= 0
  const drop = (): void => {
    dropped++
  }
  return {
    spent,
    drop,
    line: (level, text) => {
      if (spent()) return drop()
      const kept = text.length > lengthLeft ? `${cut(text, 0, lengthLeft)}…` : text
      linesLeft--
      lengthLeft -= kept.length
      send(level, kept)
    },
    begin: (limits) => {
      linesLeft = limits.logLines
      lengthLeft = limits.logLength
      dropped = 0
    },
    end: () => {
      if (dropped > 0) send("Warn", `${dropped} more log lines were dropped (limit reached)`)
      dropped = 0
    }
  }
}
