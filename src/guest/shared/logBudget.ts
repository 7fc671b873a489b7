/** How many log lines a run may send: what goes over is counted and dropped before it can fill any queue. */
import { cut } from "./intrinsics.ts"
import type { GuestLimits, LogLevel } from "../../wire/messages.ts"

export interface LogBudget {
  readonly line: (level: LogLevel, text: string) => void
  /** Whether no further line will be kept. */
  readonly spent: () => boolean
  /** Counts a line that was not even made. */
  readonly drop: () => void
  /** Starts a new budget; from now on lines are the new run's. */
  readonly begin: (limits: GuestLimits) => void
  /** Says how many lines went over the budget, if any did. */
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
