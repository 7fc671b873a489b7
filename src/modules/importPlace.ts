import { codeFrame } from "../codeFrame.ts"
import type { ModulePlace } from "../wire/modules.ts"

/** The first place where a source contains a specifier as a string literal. */
export const importPlace = (file: string, source: string, specifier: string): ModulePlace | undefined => {
  for (const quote of ['"', "'", "`"]) {
    const at = source.indexOf(quote + specifier + quote)
    if (at < 0) continue
    const above = source.slice(0, at).split("\n")
    const line = above.length
    const column = (above.at(-1)?.length ?? 0) + 1
    return { file, line, column, frame: codeFrame(source, line, column) }
  }
  return undefined
}
