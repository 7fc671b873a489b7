/** `TextEncoder`, `TextDecoder`, `atob` and `btoa`. The thread around QuickJS encodes and decodes text. */
import { incompleteUtf16, incompleteUtf8 } from "../shared/incompleteText.ts"
import { Bytes, copyOfBytes, parse, startsWith } from "../shared/intrinsics.ts"
import { quote } from "../shared/describe.ts"
import { crossing } from "./crossing.ts"
import { host } from "./host.ts"

const encode = (text: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(host.encode(quote(crossing(text, "a text to encode"))))

export const toBase64 = (bytes: Uint8Array): string =>
  host.toBase64(new Bytes(crossing(bytes, "what is to be encoded")).buffer)

export const fromBase64 = (text: string): Uint8Array =>
  new Bytes(host.fromBase64(crossing(text, "what is to be decoded")))

export class TextEncoder {
  get encoding(): string {
    return "utf-8"
  }

  encode(text: unknown = ""): Uint8Array<ArrayBuffer> {
    return encode(`${text}`)
  }

  encodeInto(text: unknown, into: Uint8Array): { readonly read: number; readonly written: number } {
    let read = 0
    let written = 0
    for (const character of `${text}`) {
      const bytes = encode(character)
      if (written + bytes.length > into.length) break
      into.set(bytes, written)
      written += bytes.length
      read += character.length
    }
    return { read, written }
  }
}

interface DecoderOptions {
  readonly fatal?: boolean
  readonly ignoreBOM?: boolean
}

/** Legacy encodings whose characters may have several bytes. */
const multiByte = /^(?:big5|euc-jp|euc-kr|gb18030|gbk|iso-2022-jp|shift_jis)$/

/** How many bytes at the end of a chunk must wait for the next chunk. */
const unfinished = (bytes: Uint8Array, encoding: string): number => {
  if (encoding === "utf-8") return incompleteUtf8(bytes)
  if (startsWith(encoding, "utf-16")) return incompleteUtf16(bytes, encoding === "utf-16be")
  // Only the decoder knows where their characters end, so all of the text comes with the last chunk.
  return multiByte.test(encoding) ? bytes.length : 0
}

export class TextDecoder {
  readonly encoding: string
  readonly fatal: boolean
  readonly ignoreBOM: boolean
  /** Undecoded bytes from the end of a stream's last chunk. */
  #rest = new Uint8Array(0)
  /** Whether a stream has started: only its first bytes can be a byte order mark. */
  #started = false

  constructor(label: unknown = "utf-8", { fatal = false, ignoreBOM = false }: DecoderOptions = {}) {
    this.encoding = host.encodingName(crossing(`${label}`, "a label"))
    this.fatal = fatal
    this.ignoreBOM = ignoreBOM
  }

  decode(input?: unknown, { stream = false }: { readonly stream?: boolean } = {}): string {
    const given = input === undefined ? new Uint8Array(0) : copyOfBytes(input)
    if (given === undefined) throw new TypeError("only an ArrayBuffer or a view of one can be decoded")
    const all = new Uint8Array(this.#rest.length + given.length)
    all.set(this.#rest)
    all.set(given, this.#rest.length)
    const kept = stream ? unfinished(all, this.encoding) : 0
    this.#rest = all.slice(all.length - kept)
    const bytes = crossing(all.slice(0, all.length - kept), "what is to be decoded")
    const json = host.decode(bytes.buffer, this.encoding, this.fatal, this.ignoreBOM || this.#started)
    this.#started = stream && (this.#started || bytes.length > 0)
    if (json === undefined) {
      this.#rest = new Uint8Array(0)
      this.#started = false
      throw new TypeError("The encoded data was not valid for its encoding")
    }
    return parse(json)
  }
}

export const btoa = (text: unknown): string => {
  const binary = `${text}`
  const bytes = new Uint8Array(binary.length)
  for (let at = 0; at < binary.length; at++) {
    const code = binary.charCodeAt(at)
    if (code > 255) throw new DOMException("Invalid character", "InvalidCharacterError")
    bytes[at] = code
  }
  return toBase64(bytes)
}

export const atob = (text: unknown): string => {
  const base64 = `${text}`.replace(/[\t\n\f\r ]/g, "").replace(/^((?:.{4})*.{2,3}?)={1,2}$/, "$1")
  if (base64.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(base64)) {
    throw new DOMException("The string to be decoded is not correctly encoded.", "InvalidCharacterError")
  }
  let binary = ""
  for (const byte of fromBase64(base64)) {
    binary += String.fromCharCode(byte)
  }
  return binary
}
