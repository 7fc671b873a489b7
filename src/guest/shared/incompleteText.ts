/** Finds the incomplete character at the end of a chunk of encoded text. */

/** The length in bytes of the UTF-8 character that starts with `first`; 1 if no character starts with it. */
const utf8Length = (first: number): number => (first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4)

/** How many bytes at the end belong to an incomplete UTF-8 character. */
export const incompleteUtf8 = (bytes: Uint8Array): number => {
  const { length } = bytes
  for (let back = 1; back <= 3 && back <= length; back++) {
    const byte = bytes[length - back] ?? 0
    if ((byte & 0xc0) !== 0x80) return utf8Length(byte) > back ? back : 0
  }
  return 0
}

/** Like `incompleteUtf8`, for UTF-16: an odd byte, or the first half of a surrogate pair. */
export const incompleteUtf16 = (bytes: Uint8Array, isBigEndian: boolean): number => {
  const odd = bytes.length % 2
  const high = bytes[bytes.length - odd - (isBigEndian ? 2 : 1)] ?? 0
  return (high & 0xfc) === 0xd8 ? 2 + odd : odd
}
