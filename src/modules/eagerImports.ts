/** What a module will ask for as soon as it is run, as far as a fast look at its source tells: it is sent ahead. */
import { init, parse } from "es-module-lexer"
import { isBuiltin } from "node:module"
import type { Import } from "./moduleImports.ts"
import type { ModuleSource } from "./ModuleSource.ts"

export const lexerReady: Promise<void> = init

/** Whatever else it finds is sent for nothing, and whatever it misses is asked for. */
const required = /\brequire\(\s*(["'])([^"'\n]+)\1\s*\)/g

const inModule = (source: string): ReadonlyArray<Import> => {
  const [imports] = parse(source)
  // -1: by a statement, not by a call.
  return imports.flatMap(({ n, d }) =>
    n !== undefined && d === -1 ? [{ specifier: n, require: false }] : []
  )
}

const inCommonJs = (source: string): ReadonlyArray<Import> =>
  Array.from(source.matchAll(required), ([, , specifier = ""]) => ({ specifier, require: true }))

const isElsewhere = ({ specifier }: Import): boolean => isBuiltin(specifier) || specifier.startsWith("data:")

export const eagerImports = ({ format, source }: ModuleSource): ReadonlyArray<Import> => {
  if (typeof source !== "string") return []
  try {
    const found = format === "module" ? inModule(source) : format === "commonjs" ? inCommonJs(source) : []
    return found.filter((one) => !isElsewhere(one))
  } catch {
    // It does not parse; its engine says so.
    return []
  }
}
