import { codeFrame } from "../codeFrame.ts"
import type { ModulePlace } from "../wire/modules.ts"

/** The line and column of an offset. Both count from 1. */
export const positionOf = (
  source: string,
  offset: number
): { readonly line: number; readonly column: number } => {
  const above = source.slice(0, offset).split("\n")
  return { line: above.length, column: (above.at(-1)?.length ?? 0) + 1 }
}

/** The offset of a specifier's literal: in the first import of it, or else wherever it is. */
const literalIn = (source: string, specifier: string): number => {
  const literal = `(["'\`])${RegExp.escape(specifier)}\\1`
  const imported = new RegExp(`(?:\\bimport|\\bfrom|\\brequire)\\s{0,9}\\(?\\s{0,9}(?=${literal})`).exec(
    source
  )
  return imported === null ? source.search(new RegExp(literal)) : imported.index + imported[0].length
}

/** Where a source imports a specifier, or contains it as a string literal. */
export const importPlace = (file: string, source: string, specifier: string): ModulePlace | undefined => {
  const at = literalIn(source, specifier)
  if (at < 0) return undefined
  const { line, column } = positionOf(source, at)
  return { file, line, column, frame: codeFrame(source, line, column) }
}
