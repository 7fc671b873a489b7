/**
 * A `StringDecoder` in JavaScript that replaces the methods of Node's. Node's keeps its state in bytes that every
 * decoder exposes (a stream's decoder too), and its native code aborts the process if a plugin changes them. This
 * one keeps its state private.
 */
import { StringDecoder } from "node:string_decoder"
import { incompleteUtf16, incompleteUtf8 } from "../shared/incompleteText.ts"
import { apply } from "../shared/intrinsics.ts"

const { get, set, delete: remove } = WeakMap.prototype
/** The incomplete characters at the ends of the decoders' inputs. */
const pendings = new WeakMap<object, Buffer>()
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

/** How many bytes at the end belong to an incomplete character. */
const incomplete = (bytes: Buffer, encoding: string): number => {
  if (encoding === "utf8") return incompleteUtf8(bytes)
  if (encoding === "utf16le") return incompleteUtf16(bytes, false)
  return encoding === "base64" || encoding === "base64url" ? bytes.length % 3 : 0
}

/** Read by name, because Node's types lack `encoding`. */
const encodingOf = (decoder: object): string => `${Reflect.get(decoder, "encoding")}`

const pendingOf = (decoder: object): Buffer => apply(get, pendings, [decoder]) ?? empty

const write = (decoder: StringDecoder, given: unknown): string => {
  if (typeof given === "string") return given
  const before = pendingOf(decoder)
  const bytes = before === empty ? bytesOf(given) : concat([before, bytesOf(given)])
  const encoding = encodingOf(decoder)
  const kept = incomplete(bytes, encoding)
  const cut = bytes.length - kept
  if (kept === 0) apply(remove, pendings, [decoder])
  else apply(set, pendings, [decoder, from(bytes.subarray(cut))])
  return text(bytes.subarray(0, cut), encoding)
}

const end = (decoder: StringDecoder, given: unknown): string => {
  const head = given === undefined ? "" : write(decoder, given)
  const left = pendingOf(decoder)
  apply(remove, pendings, [decoder])
  const encoding = encodingOf(decoder)
  // Drop an odd last byte: UTF-16 needs two.
  const odd = encoding === "utf16le" ? left.length % 2 : 0
  return head + text(left.subarray(0, left.length - odd), encoding)
}

/** Replaces the methods of all decoders with methods that do not call native code. */
export const replaceStringDecoder = (): void => {
  // Undocumented views of the native state.
  for (const name of ["lastChar", "lastNeed", "lastTotal"])
    Reflect.deleteProperty(StringDecoder.prototype, name)
  const methods = {
    write(this: StringDecoder, given: unknown) {
      return write(this, given)
    },
    end(this: StringDecoder, given?: unknown) {
      return end(this, given)
    },
    text(this: StringDecoder, bytes: Buffer, offset: number) {
      apply(remove, pendings, [this])
      return write(this, bytes.subarray(offset))
    }
  }
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(StringDecoder.prototype, name, { value, writable: true, configurable: true })
  }
}
