/** What commands print: JSON for programs, tables for people. */
import { Console, Effect } from "effect"
import { CliOutput } from "effect/cli"
import { printable, printableJson, printableLine } from "@agentlip/plugin-runtime/text"
import { Json } from "../flags/Globals.ts"

/** A value's JSON, on one line, in which a terminal finds nothing to obey. */
export const jsonText = (value: unknown): string => printableJson(JSON.stringify(value))

/** Further lines of a text are below its first, indented: none looks as if a command had begun it. */
export const indented = (text: string, by: string): string => {
  const lines = printable(text.replaceAll("\r\n", "\n"))
  // All or none, so that lines of code stay below one another.
  return /\n(?=\S)/.test(lines) ? lines.replace(/\n(?=.)/g, `\n${by}`) : lines
}

/** A heading and rows, each as wide as its widest cell; the last column is as long as it is. */
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

/** Prints what a command found: with `--json` as one document, else as lines of text. */
export const show = (value: unknown, text: () => string | ReadonlyArray<string>) =>
  Effect.flatMap(Json, (json) => {
    if (json) return Console.log(jsonText(value))
    const lines = text()
    return Console.log(printable(typeof lines === "string" ? lines : lines.join("\n")))
  })
