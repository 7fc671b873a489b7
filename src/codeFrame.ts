/** The lines of code around a place, for errors that an author reads. */
import * as fs from "node:fs"
import * as path from "node:path"
import { contains, isHubPrivate } from "./paths.ts"
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

/** Bytes of a file that is read for its lines. */
const maxBytes = 256 * 1024

const isModule = /\.[mc]?[jt]s$/

/**
 * The text of a module in the folder of a plugin's entry; `undefined` for any other file. A plugin can name any file in
 * a stack, so only regular files that it could import are read.
 */
export const sourceOf = (file: string, entry: string): string | undefined => {
  try {
    const real = fs.realpathSync.native(file)
    const folder = path.dirname(fs.realpathSync.native(entry))
    if (!isModule.test(real) || !contains(folder, real) || isHubPrivate(real)) return undefined
    const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = fs.constants
    const descriptor = fs.openSync(real, O_RDONLY | O_NONBLOCK | O_NOFOLLOW)
    try {
      const stat = fs.fstatSync(descriptor)
      if (!stat.isFile() || stat.size > maxBytes) return undefined
      const bytes = Buffer.alloc(stat.size)
      return bytes.toString("utf8", 0, fs.readSync(descriptor, bytes, 0, stat.size, 0))
    } finally {
      fs.closeSync(descriptor)
    }
  } catch {
    // Missing or unreadable: the place is shown without its lines.
    return undefined
  }
}

/** The lines around a place in a plugin's own file; empty if the file is not the plugin's or cannot be read. */
export const frameAt = (
  { file, line, column }: { readonly file: string; readonly line: number; readonly column: number },
  entry: string
): string => {
  const source = sourceOf(file, entry)
  return source === undefined ? "" : codeFrame(source, line, column)
}
