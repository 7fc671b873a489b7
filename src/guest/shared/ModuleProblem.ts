/** What a guest throws when its host cannot give it a module: an error like any other, which remembers where it is from. */
import { apply, stringify } from "./intrinsics.ts"
import type { ModuleRefused, ProblemOrigin } from "../../wire/modules.ts"

/** Taken before any plugin code runs. */
const { get, set } = WeakMap.prototype
const origins = new WeakMap<object, ProblemOrigin>()

/** Remembers where an error is from, for the failed load that it becomes. */
export const rememberOrigin = (error: object, origin: ProblemOrigin): void => {
  apply(set, origins, [error, origin])
}

/** Where an error is from, if that is known. */
export const originOf = (error: unknown): ProblemOrigin | undefined =>
  typeof error === "object" && error !== null ? apply(get, origins, [error]) : undefined

/** The error of a refused module. Its class is the language's own, so that plugins can catch it as usual. */
export const moduleProblem = (refused: ModuleRefused): Error => {
  const error = refused.syntax === true ? new SyntaxError(refused.error) : new Error(refused.error)
  rememberOrigin(error, refused)
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
