/**
 * Splits texts into the words that search knows. The index, queries and highlights all use these words, so they agree
 * on both databases.
 *
 * **Details**
 *
 * - A word is a run of letters and digits, without case and accents: `Café` is found as `cafe`. Other characters
 *   separate words, so a path, a URL or `snake_case` is a sequence of words.
 * - A name such as `PluginRuntime` is one word. Its parts, `plugin` and `runtime`, find it too.
 * - Scripts without spaces, such as Chinese, have no word borders that a program finds reliably. Each of their
 *   characters is a word; so is each emoji.
 */

/** A place in a text, in UTF-16 code units. */
export interface Range {
  readonly start: number
  /** The first code unit after it. */
  readonly end: number
}

/** A word as it is in the index, with its place in the text. */
export interface Word extends Range {
  readonly word: string
  /** The parts of a name in camel case, if it has several. */
  readonly parts: ReadonlyArray<Word>
}

/** Longer words are cut: keys and hashes are still found by their start. */
export const maxWordLength = 64

/** Counts as one for the database. A change of how texts are split needs a new number: the index is built again then. */
export const wordsVersion = 1

const alone =
  "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}"

/** One word of a text: an ASCII one, one character of a script without spaces, an emoji, or a word of another script. */
const pattern = new RegExp(
  `[0-9A-Za-z]+(?![\\p{L}\\p{M}\\p{N}])|(?=[${alone}])[\\p{L}\\p{N}]\\p{M}*|\\p{Extended_Pictographic}|\\p{Regional_Indicator}|(?:(?![${alone}])[\\p{L}\\p{M}\\p{N}])+`,
  "gu"
)

const isAscii = /^[0-9A-Za-z]+$/

/** Borders within a name: `fooBar`, `HTTPServer`. */
const border = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u

const accents = /[\u0300-\u036f]/g

/** A word without case, accents and variants of width. */
const plain = (text: string): string => {
  const lower = text.toLowerCase()
  const word = isAscii.test(text) ? lower : lower.normalize("NFKD").replace(accents, "").normalize("NFC")
  return word.length > maxWordLength ? word.slice(0, maxWordLength).toWellFormed() : word
}

const mixed = /[\p{Ll}\p{N}]\p{Lu}|\p{Lu}\p{Lu}\p{Ll}/u

const partsOf = (text: string, start: number): ReadonlyArray<Word> => {
  if (!mixed.test(text)) return []
  let at = start
  return text.split(border).map((part) => {
    const place = { start: at, end: at + part.length }
    at = place.end
    return { ...place, word: plain(part), parts: [] }
  })
}

/** The words of a text, in order. */
export const wordsOf = (text: string): ReadonlyArray<Word> => {
  const words: Array<Word> = []
  for (const { 0: found, index } of text.matchAll(pattern)) {
    const word = plain(found)
    if (word !== "")
      words.push({ start: index, end: index + found.length, word, parts: partsOf(found, index) })
  }
  return words
}
