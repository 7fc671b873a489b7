/** Texts of plugins and operators, made safe to log and short enough to read. */

const escaped = (character: string): string => {
  const code = (character.codePointAt(0) ?? 0).toString(16)
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`
}

/**
 * Escapes what could move a cursor, turn the direction of writing or be seen by nobody: control and format
 * characters, line separators, halves of surrogate pairs, unassigned and private ones. Line feeds and tabs stay.
 */
export const printable = (text: string): string => text.replace(/[[\p{C}\p{Zl}\p{Zp}]--[\n\t]]/gv, escaped)

/** As `printable`, on one line. */
export const printableLine = (text: string): string => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escaped)

/** At most `max` UTF-16 units, the last of them `…` if there were more. */
export const shortened = (text: string, max: number): string =>
  text.length > max ? `${text.slice(0, max - 1)}…` : text

/** As much of a text as a log or an error has room for, on one line. */
export const lineText = (text: string): string => printableLine(shortened(text, 1_000))

const maxShown = 60

const quoted = (text: string): string =>
  JSON.stringify(text.length > maxShown ? `${text.slice(0, maxShown)}…` : text)

/** A value in a few words, without the contents of objects: they may hold what a log must not. */
export const shown = (value: unknown): string => {
  if (typeof value === "string") return quoted(value)
  if (typeof value === "function") return "a function"
  if (Array.isArray(value)) return `an array of ${value.length}`
  return typeof value === "object" && value !== null ? "an object" : String(value)
}

/** `linkifiers[0].config["a-b"]` */
export const pathText = (path: ReadonlyArray<PropertyKey>): string =>
  path
    .map((key) => {
      if (typeof key !== "string") return `[${String(key)}]`
      return key.length <= maxShown && /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${quoted(key)}]`
    })
    .join("")
    .replace(/^\./, "")
