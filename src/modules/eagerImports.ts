/** Finds the imports that a module makes as soon as it runs, by a quick scan of its source. They are sent ahead. */
import { init, parse } from "es-module-lexer"
import { isBuiltin } from "node:module"
import type { Import } from "./moduleImports.ts"
import type { ModuleSource } from "./ModuleSource.ts"

export const lexerReady: Promise<void> = init

/** Inexact on purpose: a false match sends a module needlessly, and a missed one is requested later. */
const required = /\brequire\(\s*(["'])([^"'\n]+)\1\s*\)/g

const inModule = (source: string): ReadonlyArray<Import> => {
  const [imports] = parse(source)
  // -1 marks a static import.
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
    // The source has a syntax error, which the guest's engine will report.
    return []
  }
}
