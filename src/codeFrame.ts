/** The lines of code around a place, for errors that an author reads. */
import { printable } from "./text.ts"

const linesAround = 2

/** Characters of a line that are shown. */
const maxLine = 200

/**
 * The lines around a place, numbered, with `>` before its line and `^` below its column. Both count from 1. Empty if the
 * source has no such line.
 *
 * @example
 * ```ts
 * codeFrame('const a = 1\nimport b from "./b"', 2, 15)
 * //   1 | const a = 1
 * // > 2 | import b from "./b"
 * //     |               ^
 * ```
 */
export const codeFrame = (source: string, line: number, column: number): string => {
  const lines = source.split(/\r?\n/)
  if (line < 1 || line > lines.length) return ""
  const first = Math.max(1, line - linesAround)
  const last = Math.min(lines.length, line + linesAround)
  const width = String(last).length
  return lines
    .slice(first - 1, last)
    .flatMap((code, index) => {
      const number = first + index
      const shown = printable(code.slice(0, maxLine)).replaceAll("\t", " ")
      const row = `${number === line ? ">" : " "} ${String(number).padStart(width)} | ${shown}`.trimEnd()
      return number === line && column >= 1 && column <= maxLine
        ? [row, `  ${" ".repeat(width)} | ${" ".repeat(column - 1)}^`]
        : [row]
    })
    .join("\n")
}
