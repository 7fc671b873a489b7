/** Describes whatever a plugin threw, without trusting it to be describable. */
import { apply, cut, isProxy, stringify, string } from "./intrinsics.ts"

const maxMessage = 4_096
const maxStack = 8_192

/** Reads a property that may be a getter, may throw and may be anything; only a string counts. */
const text = (value: object, property: string, max: number): string | undefined => {
  try {
    const found: unknown = Reflect.get(value, property)
    return typeof found === "string" && found.length > 0 ? cut(found, 0, max) : undefined
  } catch {
    // A throwing getter is one more thing that has no description.
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

/** JSON of a `ThrownValue`. */
export const describeThrown = (thrown: unknown): string => {
  if ((typeof thrown !== "object" && typeof thrown !== "function") || thrown === null) {
    return thrownJson(thrown === null ? "null" : typeof thrown, primitive(thrown), undefined)
  }
  if (isProxy(thrown)) return thrownJson("Proxy", "a Proxy was thrown", undefined)
  return thrownJson(
    text(thrown, "name", 200) ?? (typeof thrown === "function" ? "function" : "object"),
    text(thrown, "message", maxMessage) ?? "(no message)",
    text(thrown, "stack", maxStack)
  )
}

const thrownJson = (name: string, message: string, stack: string | undefined): string =>
  `{"name":${quote(name)},"message":${quote(message)}${stack === undefined ? "" : `,"stack":${quote(stack)}`}}`

/** JSON of a string; a patched `String.prototype.toJSON` must not decide whether it is one. */
export const quote = (value: string): string => {
  const json: unknown = apply(stringify, undefined, [value])
  return typeof json === "string" ? json : '""'
}

/** `name: message` of whatever was thrown, for reasons that are one text. */
export const describeReason = (thrown: unknown): string => {
  if (typeof thrown === "object" && thrown !== null && !isProxy(thrown)) {
    const name = text(thrown, "name", 200)
    const message = text(thrown, "message", maxMessage)
    if (message !== undefined) return name === undefined ? message : `${name}: ${message}`
  }
  return isProxy(thrown) ? "a Proxy was thrown" : `threw ${thrown === null ? "null" : primitive(thrown)}`
}
