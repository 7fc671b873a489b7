/** Describes any thrown value as JSON or text, without trusting its properties. */
import { apply, cut, isObject, isProxy, stringify, string } from "./intrinsics.ts"

const maxMessage = 4_096
const maxStack = 8_192

/**
 * Reads a string property of an untrusted value: the property may be missing, a throwing getter or of another type.
 */
const text = (value: object, property: string, max: number): string | undefined => {
  try {
    const found: unknown = Reflect.get(value, property)
    return typeof found === "string" && found.length > 0 ? cut(found, 0, max) : undefined
  } catch {
    // A getter that throws counts as a missing description.
    return undefined
  }
}

const primitive = (value: unknown): string => {
  try {
    return cut(string(value), 0, maxMessage)
  } catch {
    return "a value that cannot be shown"
  }
}

/** The JSON of a `ThrownValue`, with further members if `more` has them. */
export const describeThrown = (thrown: unknown, more = ""): string => {
  if (!isObject(thrown)) return thrownJson(thrown === null ? "null" : typeof thrown, primitive(thrown), more)
  if (isProxy(thrown)) return thrownJson("Proxy", "a Proxy was thrown", more)
  const stack = text(thrown, "stack", maxStack)
  return thrownJson(
    text(thrown, "name", 200) ?? (typeof thrown === "function" ? "function" : "object"),
    text(thrown, "message", maxMessage) ?? "(no message)",
    stack === undefined ? more : `,"stack":${quote(stack)}${more}`
  )
}

const thrownJson = (name: string, message: string, more: string): string =>
  `{"name":${quote(name)},"message":${quote(message)}${more}}`

/** The JSON of a string. `stringify` never calls `toJSON` on a string, so the check is only for the type. */
export const quote = (value: string): string => {
  const json: unknown = apply(stringify, undefined, [value])
  return typeof json === "string" ? json : '""'
}

/** A thrown value as `name: message`, for reasons that are one text. */
export const describeReason = (thrown: unknown): string => {
  if (typeof thrown === "object" && thrown !== null && !isProxy(thrown)) {
    const name = text(thrown, "name", 200)
    const message = text(thrown, "message", maxMessage)
    if (message !== undefined) return name === undefined ? message : `${name}: ${message}`
  }
  return isProxy(thrown) ? "a Proxy was thrown" : `threw ${thrown === null ? "null" : primitive(thrown)}`
}
