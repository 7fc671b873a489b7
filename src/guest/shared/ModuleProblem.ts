/**
 * The errors that a guest throws when its host refuses a module. The module remembers where each error comes from.
 */
import { apply, stringify } from "./intrinsics.ts"
import type { ModuleRefused, ProblemOrigin } from "../../wire/modules.ts"

/** Captured before any plugin code runs. */
const { get, set } = WeakMap.prototype
const { defineProperty } = Reflect
const origins = new WeakMap<object, ProblemOrigin>()

/** Records where an error comes from, for the `LOAD_ERROR` that it becomes. */
export const rememberOrigin = (error: object, origin: ProblemOrigin): void => {
  apply(set, origins, [error, origin])
}

export const originOf = (error: unknown): ProblemOrigin | undefined =>
  typeof error === "object" && error !== null ? apply(get, origins, [error]) : undefined

/**
 * The stack of an import that was refused, with the place of the import. An engine's own stack has no line of the plugin,
 * because an import is asynchronous.
 */
export const importStack = ({ place, importer }: ProblemOrigin): string => {
  const at = place === undefined ? "" : `\n    at ${place.file}:${place.line}:${place.column}`
  return importer === undefined || importer === place?.file ? at : `${at}\n    at ${importer}`
}

/** The error for a refused module. It is a plain `Error` or `SyntaxError`, so plugins catch it as usual. */
export const moduleProblem = (refused: ModuleRefused, require: boolean): Error => {
  const error = refused.syntax === true ? new SyntaxError(refused.error) : new Error(refused.error)
  rememberOrigin(error, refused)
  if (!require) {
    const stack = `${error.name}: ${error.message}${importStack(refused)}`
    apply(defineProperty, undefined, [error, "stack", { value: stack, configurable: true, writable: true }])
  }
  return error
}

/** The members `importer` and `place` of a `LoadFailure`, as JSON that continues an object. */
export const originJson = (error: unknown): string => {
  const { importer, place } = originOf(error) ?? {}
  return (
    (importer === undefined ? "" : `,"importer":${apply(stringify, undefined, [importer])}`) +
    (place === undefined ? "" : `,"place":${apply(stringify, undefined, [place])}`)
  )
}
