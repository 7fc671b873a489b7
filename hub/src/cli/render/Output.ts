/** Prints results: JSON for programs, tables for people. */
import { Console, Effect } from "effect"
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

/** Prints a result: one JSON document with `--json`, otherwise lines of text. */
export const show = (value: unknown, text: () => string | ReadonlyArray<string>) =>
  Effect.flatMap(Json, (json) => {
    if (json) return Console.log(jsonText(value))
    const lines = text()
    return Console.log(printable(typeof lines === "string" ? lines : lines.join("\n")))
  })
