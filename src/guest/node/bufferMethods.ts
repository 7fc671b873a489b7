/**
 * Replaces the methods of Buffer whose native code trusts the sizes that Node's JavaScript has read: on Node 24 a view
 * that lies about its size reads and writes memory that is not its own.
 */
import { apply, isObject } from "../shared/intrinsics.ts"
import { sizedView } from "./sizedBytes.ts"

const { isView } = ArrayBuffer
const { defineProperty } = Object

const methods = ["copy", "write", "asciiWrite", "latin1Write", "utf8Write"]

/** True sizes in place of a view. Other objects are refused: their conversion would run code between check and use. */
const safe = (value: unknown): unknown => {
  if (isView(value)) return sizedView(value)
  if (!isObject(value)) return value
  throw Object.assign(new TypeError("a method of Buffer takes strings, numbers and views"), {
    code: "ERR_INVALID_ARG_TYPE"
  })
}

export const replaceBufferMethods = (): void => {
  for (const name of methods) {
    const original: unknown = Reflect.get(Buffer.prototype, name)
    if (typeof original !== "function") continue
    const replacement = {
      [name](this: unknown, a: unknown, b: unknown, c: unknown, d: unknown): unknown {
        return apply(original, safe(this), [safe(a), safe(b), safe(c), safe(d)])
      }
    }[name]
    defineProperty(Buffer.prototype, name, {
      value: replacement,
      writable: true,
      enumerable: true,
      configurable: true
    })
  }
}
