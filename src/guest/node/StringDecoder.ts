/**
 * A `StringDecoder` in JavaScript that replaces the methods of Node's. Node's keeps its state in bytes that every
 * decoder exposes (a stream's decoder too), and its native code aborts the process if a plugin changes them. This
 * one keeps its state private.
 */
import { StringDecoder } from "node:string_decoder"
import { apply } from "../shared/intrinsics.ts"

/** The incomplete character at the end of a decoder's input. */
interface Pending {
  bytes: Buffer
  /** How many bytes complete the character. */
  missing: number
}

const { get, set, delete: remove } = WeakMap.prototype
const pendings = new WeakMap<object, Pending>()
const { toString } = Buffer.prototype
const { from, concat, isBuffer } = Buffer
const empty = from([])

const text = (bytes: Buffer, encoding: string): string => apply(toString, bytes, [encoding])

/** A copy of the input, because a plugin could change shared bytes while they are decoded. */
const bytesOf = (given: unknown): Buffer => {
  if (isBuffer(given)) return from(given)
  if (ArrayBuffer.isView(given)) return from(from(given.buffer, given.byteOffset, given.byteLength))
  throw Object.assign(
    new TypeError('The "buf" argument must be a string or an instance of Buffer, TypedArray, or DataView'),
    { code: "ERR_INVALID_ARG_TYPE" }
  )
}

/** The length in bytes of the UTF-8 character that starts with `first`; 1 if no character starts with it. */
const lengthOf = (first: number): number => (first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4)

/** How many bytes at the end belong to an incomplete character, and how many bytes it lacks. */
const endOf = (bytes: Buffer, encoding: string): readonly [kept: number, missing: number] => {
  const { length } = bytes
  if (encoding === "utf8") {
    for (let back = 1; back <= 3 && back <= length; back++) {
      const byte = bytes[length - back] ?? 0
      if ((byte & 0xc0) === 0x80) continue
      const missing = lengthOf(byte) - back
      return missing > 0 ? [back, missing] : [0, 0]
    }
    return [0, 0]
  }
  if (encoding === "utf16le") {
    const odd = length % 2
    const isHigh = length - odd >= 2 && ((bytes[length - odd - 1] ?? 0) & 0xfc) === 0xd8
    return isHigh ? [2 + odd, 2 - odd] : [odd, odd]
  }
  const rest = encoding === "base64" || encoding === "base64url" ? length % 3 : 0
  return rest === 0 ? [0, 0] : [rest, 3 - rest]
}

/** Read by name, because Node's types lack `encoding`. */
const encodingOf = (decoder: object): string => `${Reflect.get(decoder, "encoding")}`

const write = (decoder: StringDecoder, given: unknown): string => {
  if (typeof given === "string") return given
  const before: Pending | undefined = apply(get, pendings, [decoder])
  const now = bytesOf(given)
  const bytes = before === undefined ? now : concat([before.bytes, now])
  const encoding = encodingOf(decoder)
  const [kept, missing] = endOf(bytes, encoding)
  const cut = bytes.length - kept
  if (kept === 0) apply(remove, pendings, [decoder])
  else apply(set, pendings, [decoder, { bytes: from(bytes.subarray(cut)), missing }])
  return text(bytes.subarray(0, cut), encoding)
}

const end = (decoder: StringDecoder, given: unknown): string => {
  const head = given === undefined ? "" : write(decoder, given)
  const left: Pending | undefined = apply(get, pendings, [decoder])
  if (left === undefined) return head
  apply(remove, pendings, [decoder])
  const encoding = encodingOf(decoder)
  // Drop an odd last byte: UTF-16 needs two.
  const odd = encoding === "utf16le" ? left.bytes.length % 2 : 0
  return head + text(left.bytes.subarray(0, left.bytes.length - odd), encoding)
}

const pendingOf = (decoder: object): Pending =>
  apply(get, pendings, [decoder]) ?? { bytes: empty, missing: 0 }

/** Replaces the methods of all decoders with methods that do not call native code. */
export const replaceStringDecoder = (): void => {
  const methods: PropertyDescriptorMap = Object.getOwnPropertyDescriptors({
    write(this: StringDecoder, given: unknown) {
      return write(this, given)
    },
    end(this: StringDecoder, given?: unknown) {
      return end(this, given)
    },
    text(this: StringDecoder, bytes: Buffer, offset: number) {
      apply(remove, pendings, [this])
      return write(this, bytes.subarray(offset))
    },
    get lastChar(): Buffer {
      const last = Buffer.alloc(4)
      pendingOf(this).bytes.copy(last)
      return last
    },
    get lastNeed(): number {
      return pendingOf(this).missing
    },
    get lastTotal(): number {
      const { bytes, missing } = pendingOf(this)
      return bytes.length + missing
    }
  })
  for (const name of Object.keys(methods)) {
    Object.defineProperty(StringDecoder.prototype, name, { ...methods[name], enumerable: false })
  }
}
