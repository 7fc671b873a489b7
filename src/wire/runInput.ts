/**
 * A run's input as it crosses to a thread: JSON, and beside it the long texts that would be in it. A thread's port
 * copies a text as it is, which costs a tenth of writing and parsing it as JSON. A process and QuickJS get JSON alone.
 *
 * Only the host sends texts beside JSON. A message of a guest is always one text.
 */

/** A long text and its place: the name of a field, and of a field in that one unless the text is the field itself. */
export interface LongText {
  readonly field: string
  readonly inner: string | undefined
  readonly text: string
}

export interface RunInput {
  /** An object. Texts that cross beside it are empty in it. */
  readonly json: string
  /** `undefined` if there are none. */
  readonly texts: ReadonlyArray<LongText> | undefined
}

/** A text of at least so many characters crosses beside the JSON. */
export const longText = 4 * 1024

type Fields = { readonly [field: string]: unknown }

/** Whether JSON has the same fields as an object: it has no prototype and no `toJSON` that would change them. */
const isPlain = (value: unknown): value is Fields => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null) && !("toJSON" in value)
}

const isLong = (value: unknown): value is string => typeof value === "string" && value.length >= longText

/** An object with its long texts beside it, if its fields or theirs have any. Throws what `JSON.stringify` throws. */
export const splitInput = (value: object): RunInput => {
  if (!isPlain(value)) return { json: JSON.stringify(value), texts: undefined }
  let texts: Array<LongText> | undefined
  let short: { [field: string]: unknown } | undefined
  for (const field of Object.keys(value)) {
    const own = value[field]
    if (isLong(own)) {
      short ??= { ...value }
      short[field] = ""
      ;(texts ??= []).push({ field, inner: undefined, text: own })
    } else if (isPlain(own)) {
      let shortOwn: { [field: string]: unknown } | undefined
      for (const inner of Object.keys(own)) {
        const text = own[inner]
        if (!isLong(text)) continue
        shortOwn ??= { ...own }
        shortOwn[inner] = ""
        ;(texts ??= []).push({ field, inner, text })
      }
      if (shortOwn !== undefined) {
        short ??= { ...value }
        short[field] = shortOwn
      }
    }
  }
  return { json: JSON.stringify(short ?? value), texts }
}

const { parse } = JSON

/** The object. Each place exists in the JSON, so no setter of a prototype is called. */
export const joinInput = ({ json, texts }: RunInput): object => {
  const value = parse(json)
  if (texts === undefined) return value
  for (let at = 0; at < texts.length; at++) {
    const long = texts[at]
    if (long === undefined) continue
    if (long.inner === undefined) value[long.field] = long.text
    else value[long.field][long.inner] = long.text
  }
  return value
}

/** Characters. */
export const sizeOf = ({ json, texts }: RunInput): number => {
  let size = json.length
  if (texts !== undefined) for (const { text } of texts) size += text.length
  return size
}
