/** Remembers which grant a denied call lacked, by the error that the plugin got for it. */
import { quote } from "./describe.ts"
import { apply, isObject, isProxy } from "./intrinsics.ts"

/** Captured before any plugin code runs. */
const { get, set } = WeakMap.prototype
const entries = new WeakMap<object, string>()

/** In characters. The host drops longer entries. */
const maxEntry = 1_000

/** How many errors to look at: an error, its `cause`, and so on. */
const maxCauses = 5

/** Records the entry of a grant without which a call failed with this error. Returns the error. */
export const rememberMissing = (error: Error, kind: "read" | "write" | "net", entry: string): Error => {
  if (entry.length <= maxEntry) apply(set, entries, [error, `{"${kind}":[${quote(entry)}]}`])
  return error
}

const causeOf = (error: object): unknown => {
  try {
    return Reflect.get(error, "cause")
  } catch {
    // A getter that throws: no cause.
    return undefined
  }
}

/** The member `missingGrants` of a thrown value, as JSON that continues an object. */
export const missingGrantsJson = (thrown: unknown): string => {
  let error = thrown
  for (let looked = 0; looked < maxCauses && isObject(error) && !isProxy(error); looked++) {
    const missing: string | undefined = apply(get, entries, [error])
    if (missing !== undefined) return `,"missingGrants":${missing}`
    error = causeOf(error)
  }
  return ""
}
