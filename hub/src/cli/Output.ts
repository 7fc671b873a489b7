/** What commands print: JSON for programs, tables for people. */
import { Console, Effect } from "effect"
import { CliOutput } from "effect/cli"
import { Json } from "./Globals.ts"

/**
 * Control characters as `\x1b`, direction marks as `\u202e`: what others wrote is to change nothing on a
 * terminal. Line ends and tabs stay.
 */
export const printable = (text: string): string =>
  text.replaceAll(
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => {
      const code = character.charCodeAt(0)
      return code < 256
        ? `\\x${code.toString(16).padStart(2, "0")}`
        : `\\u${code.toString(16).padStart(4, "0")}`
    }
  )

/** JSON in which what a terminal could obey is escaped, as JSON itself would a line feed. */
export const jsonText = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** On one line. */
export const line = (text: string): string =>
  printable(text.replaceAll("\r\n", "\n")).replaceAll("\n", "⏎").replaceAll("\t", " ")

/** A heading and rows, each as wide as its widest cell; the last column is as long as it is. */
export const table = (
  heading: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string | number | null>>
): ReadonlyArray<string> => {
  const cells = [heading, ...rows.map((row) => row.map((cell) => line(String(cell ?? "-"))))]
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
    return Console.log(typeof lines === "string" ? lines : lines.join("\n"))
  })
