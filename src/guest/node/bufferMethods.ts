/**
 * Replaces the methods of Buffer that plugins can abuse to read or write memory outside of a view:
 *
 * - The native code of Node 24 trusts the size that a view states, and a plugin can change that.
 * - Native code converts some arguments after it has looked up the bytes. The conversion can run a plugin's code, which
 *   can detach or shrink them.
 */
import { apply, isObject } from "../shared/intrinsics.ts"
import { names } from "../shared/names.ts"
import { sizedView } from "./sizedBytes.ts"

const { isView } = ArrayBuffer
const { defineProperty } = Object
const { alloc } = Buffer

type Method = (this: unknown, a?: unknown, b?: unknown, c?: unknown, d?: unknown) => unknown

/** Methods that read sizes as properties. */
const sizing = ["copy", "write", "asciiWrite", "latin1Write", "utf8Write"]
/** Methods that only convert their arguments too late. */
const converting = names(`
  asciiSlice base64Slice base64urlSlice hexSlice latin1Slice ucs2Slice utf8Slice
  base64Write base64urlWrite hexWrite ucs2Write
`)

const refuse = (): never => {
  throw Object.assign(new TypeError("a method of Buffer takes strings, numbers and views"), {
    code: "ERR_INVALID_ARG_TYPE"
  })
}
const refuseObject = (value: unknown): void => {
  if (isObject(value)) refuse()
}

/** True sizes in place of a view. Other objects are refused: their conversion would run code between check and use. */
const safe = (value: unknown): unknown => {
  if (isView(value)) return sizedView(value)
  refuseObject(value)
  return value
}

const methodOf = (name: string): Method | undefined => {
  const method: unknown = Reflect.get(Buffer.prototype, name)
  return typeof method === "function" ? (method as Method) : undefined
}

const replace = (target: object, name: string, value: object): void => {
  defineProperty(value, "name", { value: name, configurable: true })
  defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true })
}

const replaceMethod = (name: string, replacement: (original: Method) => Method): void => {
  const original = methodOf(name)
  if (original === undefined) return
  replace(Buffer.prototype, name, replacement(original))
}

const withTrueSizes = (original: Method): Method =>
  function (a, b, c, d) {
    return apply(original, safe(this), [safe(a), safe(b), safe(c), safe(d)])
  }

const withoutConversion = (original: Method): Method =>
  function (a, b, c) {
    refuseObject(a)
    refuseObject(b)
    refuseObject(c)
    return apply(original, this, [a, b, c])
  }

/** Without arguments, Node's own gives `this.length` to the native code, which can be an object. */
const replaceToString = (): void => {
  const utf8Slice = methodOf("utf8Slice")
  const convert = (original: Method): Method =>
    function toString(encoding, start, end) {
      return encoding === undefined && start === undefined && end === undefined && utf8Slice !== undefined
        ? apply(utf8Slice, this, [])
        : apply(original, this, [encoding, start, end])
    }
  replaceMethod("toString", convert)
  // One function under two names, as in Node.
  Buffer.prototype.toLocaleString = Buffer.prototype.toString
}

const replaceFill = (): void => {
  replaceMethod("fill", (original) => {
    const fill = withTrueSizes(original)
    return function (value, offset, end, encoding) {
      apply(fill, this, [value, offset, end, encoding])
      return this
    }
  })
  const { fill } = Buffer.prototype
  replace(Buffer, "alloc", (size: number, value?: unknown, encoding?: unknown): Buffer => {
    const bytes = alloc(size)
    if (value !== undefined && value !== 0 && size > 0) apply(fill, bytes, [value, 0, size, encoding])
    return bytes
  })
}

export const replaceBufferMethods = (): void => {
  replaceToString()
  replaceFill()
  for (const name of sizing) replaceMethod(name, withTrueSizes)
  for (const name of converting) replaceMethod(name, withoutConversion)
}
