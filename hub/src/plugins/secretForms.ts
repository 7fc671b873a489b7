/** The encoded forms of a secret. Redaction searches for them besides the secret itself. */

/** Longer secrets are not searched for in encoded form: they are texts rather than keys. */
const longestEncoded = 4096

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1)

/** Uses `+` for spaces and escapes more characters than `encodeURIComponent`. */
const formEncoded = (text: string): string => new URLSearchParams([["", text]]).toString().slice(1)

/**
 * The secret in base64 at any offset within a longer text, without its first and last characters, which depend on the
 * neighbouring bytes.
 */
const base64Of = (bytes: Buffer): ReadonlyArray<string> =>
  [0, 1, 2].map((before) => {
    const whole = Buffer.concat([Buffer.alloc(before), bytes])
      .toString("base64")
      .replace(/=+$/, "")
    const first = before === 0 ? 0 : before + 1
    const isCut = (before + bytes.length) % 3 !== 0
    return whole.slice(first, isCut ? -1 : undefined)
  })

const encodings = (text: string): ReadonlyArray<string> => {
  const bytes = Buffer.from(text)
  const base64 = [bytes.toString("base64"), bytes.toString("base64").replace(/=+$/, ""), ...base64Of(bytes)]
  const hex = bytes.toString("hex")
  return [
    ...base64,
    ...base64.map((form) => form.replaceAll("+", "-").replaceAll("/", "_")),
    hex,
    hex.replace(/../g, "%$&"),
    encodeURIComponent(text),
    encodeURI(text),
    formEncoded(text)
  ]
}

/** All forms of a secret, the longest first, because one may contain another. Letter case is ignored. */
export const formsOf = (secret: string): ReadonlyArray<string> => {
  const text = secret.toWellFormed()
  const plain = [text, escaped(text), escaped(escaped(text)), text.toUpperCase(), text.toLowerCase()]
  const forms = text.length > longestEncoded ? plain : [...plain, ...encodings(text)]
  return [...new Set(forms)].toSorted((one, other) => other.length - one.length)
}
