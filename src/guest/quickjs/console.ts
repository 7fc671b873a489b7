/** A plugin's `console`, `process.stdout` and `process.stderr`. They send lines to the host, limited per run. */
import { makeLogBudget } from "../shared/logBudget.ts"
import type { LogLevel } from "../../wire/messages.ts"
import { format } from "./format.ts"
import { host } from "./host.ts"

type LogMethod = (...args: ReadonlyArray<unknown>) => void

/** `send` must not throw. */
export const makeConsole = (send: (level: LogLevel, text: string) => void) => {
  const budget = makeLogBudget(send)
  let indent = ""

  const log = (level: LogLevel, args: ReadonlyArray<unknown>): void => {
    // Over the budget, do not even format.
    if (budget.spent()) return budget.drop()
    const text = format(args)
    budget.line(level, indent === "" ? text : `${indent}${text.replaceAll("\n", `\n${indent}`)}`)
  }
  const method =
    (level: LogLevel): LogMethod =>
    (...args) =>
      log(level, args)
  const info = method("Info")
  const error = method("Error")
  const counts = new Map<string, number>()
  const timers = new Map<string, number>()
  const sinceText = (label: string): string =>
    `${label}: ${(host.now() - (timers.get(label) ?? host.now())).toFixed(3)}ms`

  const stream = (level: LogLevel) => ({
    isTTY: false,
    write: (chunk: unknown): boolean => {
      const text = `${chunk}`
      budget.line(level, text.endsWith("\n") ? text.slice(0, -1) : text)
      return true
    }
  })

  return {
    begin: budget.begin,
    end: budget.end,
    stdout: stream("Info"),
    stderr: stream("Error"),
    console: {
      log: info,
      info,
      debug: method("Debug"),
      trace: method("Debug"),
      warn: method("Warn"),
      error,
      dir: (value: unknown) => info(value),
      dirxml: info,
      table: (value: unknown) => info(value),
      assert: (held: unknown, ...args: ReadonlyArray<unknown>) => {
        if (held !== true && !held) error("Assertion failed", ...args)
      },
      count: (label: unknown = "default") => {
        const count = (counts.get(`${label}`) ?? 0) + 1
        counts.set(`${label}`, count)
        info(`${label}: ${count}`)
      },
      countReset: (label: unknown = "default") => void counts.delete(`${label}`),
      time: (label: unknown = "default") => void timers.set(`${label}`, host.now()),
      timeLog: (label: unknown = "default", ...args: ReadonlyArray<unknown>) =>
        info(sinceText(`${label}`), ...args),
      timeEnd: (label: unknown = "default") => {
        info(sinceText(`${label}`))
        timers.delete(`${label}`)
      },
      group: (...args: ReadonlyArray<unknown>) => {
        if (args.length > 0) log("Info", args)
        indent += "  "
      },
      groupEnd: () => {
        indent = indent.slice(2)
      }
    }
  }
}
