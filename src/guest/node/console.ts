/** `console`, `process.stdout` and `process.stderr` of a plugin: lines to the host, capped per run. */
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

/** Makes the three; they share one budget, and drop what goes over it before it can fill any queue. */
export const makeConsole = (send: (level: LogLevel, text: string) => void): GuestConsole => {
  const budget = makeLogBudget(send)
  let level: LogLevel | undefined

  const line = (fallback: LogLevel, text: string): void => budget.line(level ?? fallback, text)

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
