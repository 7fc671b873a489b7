/** A plugin's environment variables. Only the granted ones have values. */
import { looksLikeVariable } from "./names.ts"
import { apply, cut } from "./intrinsics.ts"

const { hasOwnProperty } = Object.prototype
const { get } = Reflect

/** Calls `report` when code reads a variable without a grant; in audit mode, for every other name too. */
export const watchedEnv = (
  values: { [name: string]: string },
  isAudited: () => boolean,
  report: (name: string) => void
): object =>
  new Proxy(values, {
    get: (target, name, receiver) => {
      const isMissing = typeof name === "string" && !apply(hasOwnProperty, target, [name])
      if (isMissing && (isAudited() || looksLikeVariable(name))) report(cut(name, 0, 200))
      return get(target, name, receiver)
    }
  })
