/**
 * The synchronous functions of `node:crypto` and the Web's `crypto` that return random values. Node's own abort the
 * process if a plugin has patched the sizes of typed arrays, and `webcrypto` would load a dozen modules in every guest.
 */
import { randomFillSync } from "node:crypto"
import { apply, cut, startsWith, typeNameOf } from "../shared/intrinsics.ts"
import { allocate, allocateSized, bytesOf, copyTo, lengthOf, partOf } from "./sizedBytes.ts"

const { DOMException: WebError } = globalThis
const { isSafeInteger } = Number
const { hexSlice } = Buffer.prototype as Buffer & {
  // Not in Node's types. `toString` would look it up on a prototype that a plugin can patch.
  readonly hexSlice: (start: number, end: number) => string
}

const chunkSize = 4_096
/** Node fills only these bytes, which plugins cannot reach. */
const chunk = allocateSized(chunkSize)

const fill = (bytes: Uint8Array): void => {
  const length = lengthOf(bytes)
  for (let at = 0; at < length; at += chunkSize) {
    const size = length - at < chunkSize ? length - at : chunkSize
    randomFillSync(chunk, 0, size)
    copyTo(partOf(bytes, at, size), partOf(chunk, 0, size), 0)
  }
}

/** In bytes, as the Web's standard says. */
const maxRandomBytes = 65_536

export const getRandomValues = (array: ArrayBufferView): ArrayBufferView => {
  const type = typeNameOf(array)
  if (type === undefined || startsWith(type, "Float")) {
    throw new WebError("crypto.getRandomValues takes a typed array of integers", "TypeMismatchError")
  }
  const bytes = bytesOf(array)
  if (lengthOf(bytes) > maxRandomBytes) {
    throw new WebError(`crypto.getRandomValues fills ${maxRandomBytes} bytes at most`, "QuotaExceededError")
  }
  fill(bytes)
  return array
}

const refuseCallback = (name: string, value: unknown): void => {
  if (typeof value !== "function") return
  throw Object.assign(new TypeError(`${name} takes no callback here; use the value that it returns`), {
    code: "ERR_INVALID_ARG_TYPE"
  })
}

export const randomBytes = (size: number, callback?: unknown): Buffer => {
  refuseCallback("randomBytes", callback)
  const bytes = allocate(size)
  fill(bytes)
  return bytes
}

export const randomUUID = (): string => {
  randomFillSync(chunk, 0, 16)
  // Version 4, and the variant of RFC 9562.
  chunk[6] = ((chunk[6] ?? 0) & 0x0f) | 0x40
  chunk[8] = ((chunk[8] ?? 0) & 0x3f) | 0x80
  const hex: string = apply(hexSlice, chunk, [0, 16])
  return `${cut(hex, 0, 8)}-${cut(hex, 8, 12)}-${cut(hex, 12, 16)}-${cut(hex, 16, 20)}-${cut(hex, 20)}`
}

const invalidBound = (name: string): TypeError =>
  Object.assign(new TypeError(`The "${name}" argument of randomInt must be a safe integer`), {
    code: "ERR_INVALID_ARG_TYPE"
  })
const outOfRange = (message: string): RangeError =>
  Object.assign(new RangeError(message), { code: "ERR_OUT_OF_RANGE" })

const intBytes = 6
const intRange = 2 ** (8 * intBytes)

/** A random integer of at least `min`, by default 0, and less than `max`: `randomInt(max)` or `randomInt(min, max)`. */
export const randomInt = (first: number, second?: number, callback?: unknown): number => {
  refuseCallback("randomInt", second)
  refuseCallback("randomInt", callback)
  const min = second === undefined ? 0 : first
  const max = second === undefined ? first : second
  if (!isSafeInteger(min)) throw invalidBound("min")
  if (!isSafeInteger(max)) throw invalidBound("max")
  const range = max - min
  if (range <= 0) throw outOfRange(`The "max" argument of randomInt must be greater than "min" (${min})`)
  if (range >= intRange) throw outOfRange(`randomInt takes bounds that are less than ${intRange} apart`)
  // Numbers from here on would make some results more likely than others.
  const limit = intRange - (intRange % range)
  for (;;) {
    randomFillSync(chunk, 0, intBytes)
    let number = 0
    for (let at = 0; at < intBytes; at++) number = 256 * number + (chunk[at] ?? 0)
    if (number < limit) return (number % range) + min
  }
}
