/** `console`, `process.stdout` and `process.stderr` of a plugin: lines to the host, capped per run. */
import { Console } from "node:console"
import { Writable } from "node:stream"
import { cut } from "./intrinsics.ts"
import type { GuestLimits, LogLevel } from "./protocol.ts"

/** Sends one line; must not throw. */
export type LineSink = (level: LogLevel, text: string) => void

const levels: { readonly [method: string]: LogLevel } = {
  debug: "Debug",
  trace: "Debug",
  warn: "Warn",
  error: "Error",
  assert: "Error"
}

export interface GuestConsole {
  readonly console: Console
  readonly stdout: Writable
  readonly stderr: Writable
  /** Starts a new budget; from now on lines are the new run's. */
  readonly begin: (limits: GuestLimits) => void
  /** Says how many lines went over the budget, if any did. */
  readonly end: () => void
}

/** Makes the three; they share one budget, and drop what goes over it before it can fill any queue. */
export const makeConsole = (send: LineSink): GuestConsole => {
  let linesLeft = 0
  let lengthLeft = 0
  let dropped = 0
  let level: LogLevel | undefined

  const line = (fallback: LogLevel, text: string): void => {
    if (linesLeft <= 0 || lengthLeft <= 0) {
      dropped++
      return
    }
    const kept = text.length > lengthLeft ? `${cut(text, 0, lengthLeft)}…` : text
    linesLeft--
    lengthLeft -= kept.length
    send(level ?? fallback, kept)
  }

  // A stream that keeps nothing: `write` is replaced, so that Node's own buffering never sees a chunk.
  const stream = (fallback: LogLevel): Writable => {
    const sink = new Writable({ decodeStrings: false, write: (_chunk, _encoding, done) => done() })
    const write = (chunk: unknown): boolean => {
      const text = typeof chunk === "string" ? chunk : `${chunk}`
      line(fallback, text.endsWith("\n") ? cut(text, 0, text.length - 1) : text)
      return true
    }
    Object.defineProperty(sink, "write", { value: write })
    return sink
  }

  const stdout = stream("Info")
  const stderr = stream("Error")
  const inner = new Console({ stdout, stderr, colorMode: false })
  for (const method of Object.keys(levels)) {
    const original: unknown = Reflect.get(inner, method)
    if (typeof original !== "function") continue
    const ofMethod = levels[method]
    Object.defineProperty(inner, method, {
      value: (...args: ReadonlyArray<unknown>) => {
        // Over the budget nothing is even formatted.
        if (linesLeft <= 0) {
          dropped++
          return
        }
        level = ofMethod
        try {
          Reflect.apply(original, inner, args)
        } finally {
          level = undefined
        }
      },
      writable: true,
      configurable: true
    })
  }

  return {
    console: inner,
    stdout,
    stderr,
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
