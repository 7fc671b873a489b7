/** A plugin's `console`, `process.stdout` and `process.stderr`. They send lines to the host, limited per run. */
import { Console } from "node:console"
import { Writable } from "node:stream"
import { cut } from "../shared/intrinsics.ts"
import { type LogBudget, makeLogBudget } from "../shared/logBudget.ts"
import type { LogLevel } from "../../wire/messages.ts"

const levels: { readonly [method: string]: LogLevel } = {
  debug: "Debug",
  trace: "Debug",
  warn: "Warn",
  error: "Error",
  assert: "Error"
}

export interface GuestConsole extends Pick<LogBudget, "begin" | "end"> {
  readonly console: Console
  readonly stdout: Writable
  readonly stderr: Writable
}

/**
 * Makes the console and the two streams. They share one budget and drop all lines over it before they can fill a
 * queue.
 */
export const makeConsole = (send: (level: LogLevel, text: string) => void): GuestConsole => {
  const budget = makeLogBudget(send)
  let level: LogLevel | undefined

  const line = (fallback: LogLevel, text: string): void => budget.line(level ?? fallback, text)

  // A stream that buffers nothing: `write` is replaced, so Node's own buffering never gets a chunk.
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
        // Over the budget, do not even format.
        if (budget.spent()) return budget.drop()
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
    begin: budget.begin,
    end: budget.end
  }
}
