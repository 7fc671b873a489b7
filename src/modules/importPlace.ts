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

/** The first place where a source contains a specifier as a string literal. */
export const importPlace = (file: string, source: string, specifier: string): ModulePlace | undefined => {
  for (const quote of ['"', "'", "`"]) {
    const at = source.indexOf(quote + specifier + quote)
    if (at < 0) continue
    const { line, column } = positionOf(source, at)
    return { file, line, column, frame: codeFrame(source, line, column) }
  }
  return undefined
}
