/** Base64 for engines without a built-in codec. */

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
const codes = new Uint8Array(64)
const values = new Uint8Array(128)
for (let value = 0; value < 64; value++) {
  const code = alphabet.charCodeAt(value)
  codes[value] = code
  values[code] = value
}
const { apply } = Reflect
const { fromCharCode } = String
// Bound once, because it runs for every character: the cheapest call that a plugin's patch cannot change.
const codeAt: (text: string, at: number) => number = Function.prototype.call.bind(String.prototype.charCodeAt)
const Bytes = Uint8Array
const equals = 61

/**
 * Bytes to encode per step: engines limit the number of arguments of a call. A multiple of 3, so that only the last
 * step pads.
 */
const batch = 3_072

export const toBase64 = (bytes: Uint8Array): string => {
  const { length } = bytes
  let text = ""
  for (let from = 0; from < length; from += batch) {
    const until = from + batch < length ? from + batch : length
    const made = new Bytes((((until - from + 2) / 3) | 0) * 4)
    for (let at = from, to = 0; at < until; at += 3, to += 4) {
      const first = bytes[at] ?? 0
      const second = bytes[at + 1] ?? 0
      const third = bytes[at + 2] ?? 0
      made[to] = codes[first >> 2] ?? 0
      made[to + 1] = codes[((first & 3) << 4) | (second >> 4)] ?? 0
      made[to + 2] = at + 1 < length ? (codes[((second & 15) << 2) | (third >> 6)] ?? 0) : equals
      made[to + 3] = at + 2 < length ? (codes[third & 63] ?? 0) : equals
    }
    text += apply(fromCharCode, undefined, made)
  }
  return text
}

/** Decodes well-formed base64, which is all that the host sends. */
export const fromBase64 = (text: string): Uint8Array => {
  const { length } = text
  const padding = text[length - 2] === "=" ? 2 : text[length - 1] === "=" ? 1 : 0
  const bytes = new Bytes((length / 4) * 3 - padding)
  for (let from = 0, to = 0; from < length; from += 4, to += 3) {
    const bits =
      ((values[codeAt(text, from)] ?? 0) << 18) |
      ((values[codeAt(text, from + 1)] ?? 0) << 12) |
      ((values[codeAt(text, from + 2)] ?? 0) << 6) |
      (values[codeAt(text, from + 3)] ?? 0)
    // Padding writes past the end, which typed arrays ignore.
    bytes[to] = bits >> 16
    bytes[to + 1] = bits >> 8
    bytes[to + 2] = bits
  }
  return bytes
}
