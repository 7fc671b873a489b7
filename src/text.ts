/** Makes texts of plugins, operators and remote servers safe to log, print and read. */

const escaped = (character: string): string => {
  const code = (character.codePointAt(0) ?? 0).toString(16)
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`
}

const units = (character: string): string =>
  Array.from({ length: character.length }, (_, at) => escaped(character[at] ?? "")).join("")

/**
 * Characters that could move a cursor, change the direction of writing or be invisible: control and format characters,
 * line separators, halves of surrogate pairs, unassigned and private characters. Line feeds, tabs and the joiner inside an
 * emoji are not among them.
 */
const unprintable =
  /[[\p{C}\p{Zl}\p{Zp}]--[\n\t]](?<!\p{Extended_Pictographic}(?:\u{fe0f}|\p{Emoji_Modifier})?\u{200d}(?=\p{Extended_Pictographic}))/gv

/**
 * A text that is safe on a terminal: control characters, marks of direction, invisible characters and similar ones are
 * escaped (`\u001b`). Line feeds and tabs stay.
 */
export const printable = (text: string): string => text.replace(unprintable, escaped)

/** The sign for the end of a line in a text of one line. */
export const lineMark = "⏎"

/** Like `printable`, on one line: ends of lines become `⏎`, tabs become spaces. */
export const printableLine = (text: string): string =>
  printable(text.replace(/\r?\n/g, lineMark).replaceAll("\t", " "))

/** JSON that is safe on a terminal, on one line, with the same meaning. */
export const printableJson = (json: string): string =>
  json.replace(/[\r\n\t]+/g, " ").replace(unprintable, units)

/** At most `max` UTF-16 units. If there were more, it ends with `…`. Never splits a character. */
export const shortened = (text: string, max: number): string =>
  text.length > max ? `${text.slice(0, max - 1).replace(/[\ud800-\udbff]$/, "")}…` : text

/** A text shortened for a log or an error, on one line. */
export const lineText = (text: string): string => shortened(printableLine(shortened(text, 1_000)), 1_000)

const maxShown = 60

const quoted = (text: string): string =>
  JSON.stringify(text.length > maxShown ? `${text.slice(0, maxShown)}…` : text)

/** A value in a few words, without the contents of objects, which may be secret. */
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
