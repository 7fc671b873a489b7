/** Prints results: JSON for programs, tables for people. */
import { Console, Context, Effect } from "effect"
import { CliOutput } from "effect/cli"
import { printable, printableJson, printableLine } from "@agentlip/plugin-runtime/text"
import { Json } from "../flags/Globals.ts"

/** JSON on one line, with control characters escaped so that a terminal does not act on them. */
export const jsonText = (value: unknown): string => printableJson(JSON.stringify(value))

/** Indents the lines after the first, so that a text cannot imitate a new line of output. */
export const indented = (text: string, by: string): string => {
  const lines = printable(text.replaceAll("\r\n", "\n"))
  // Indent all lines or none, so that code stays aligned.
  return /\n(?=\S)/.test(lines) ? lines.replace(/\n(?=.)/g, `\n${by}`) : lines
}

/** A table. Each column is as wide as its widest cell; the last one is not padded. */
export const table = (
  heading: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string | number | null>>
): ReadonlyArray<string> => {
  const cells = [heading, ...rows.map((row) => row.map((cell) => printableLine(String(cell ?? "-"))))]
  const widths = heading.map((_, column) =>
    Math.max(...cells.map((row) => CliOutput.displayWidth(row[column] ?? "")))
  )
  const padded = (row: ReadonlyArray<string>): string =>
    row
      .map((cell, column) =>
        column === row.length - 1
          ? cell
          : cell + " ".repeat((widths[column] ?? 0) - CliOutput.displayWidth(cell))
      )
      .join("  ")
  return cells.map(padded)
}

/** Fields that Agentlip v1 has beside a list. */
export const pageOf = (items: ReadonlyArray<unknown>, has_more: boolean) => ({
  count: items.length,
  hasMore: has_more
})

/** Whether stdout has the command's JSON document, or needs none. One for each run of a command. */
export const Printed = Context.Reference<{ document: boolean }>("@agentlip/hub/Printed", {
  defaultValue: () => ({ document: true })
})

/**
 * Prints a result: one JSON document with `--json`, otherwise lines of text. The document has `status`: `"ok"`, unless
 * the value has its own.
 */
export const show = Effect.fnUntraced(function* (value: object, text: () => string | ReadonlyArray<string>) {
  if (yield* Json) {
    const printed = yield* Printed
    printed.document = true
    return yield* Console.log(jsonText({ status: "ok", ...value }))
  }
  const lines = text()
  return yield* Console.log(printable(typeof lines === "string" ? lines : lines.join("\n")))
})
