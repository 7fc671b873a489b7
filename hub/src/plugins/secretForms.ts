/** How a secret looks once somebody has encoded it: what is searched for in a text, besides the secret itself. */

/** Longer ones are searched for as they are only: they are texts rather than keys. */
const longestEncoded = 4096

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1)

/** With `+` for spaces and more escapes than `encodeURIComponent` has. */
const formEncoded = (text: string): string => new URLSearchParams([["", text]]).toString().slice(1)

/**
 * In base64, wherever in a longer text the secret begins: without the first and last characters, which depend on what is
 * beside it.
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

/** Every form, the longer first: one may be a part of another. Case does not count. */
export const formsOf = (secret: string): ReadonlyArray<string> => {
  const text = secret.toWellFormed()
  const plain = [text, escaped(text), escaped(escaped(text)), text.toUpperCase(), text.toLowerCase()]
  const forms = text.length > longestEncoded ? plain : [...plain, ...encodings(text)]
  return [...new Set(forms)].toSorted((one, other) => other.length - one.length)
}
