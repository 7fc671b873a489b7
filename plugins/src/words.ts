/**
 * Where a name or a number in prose may begin, as pieces of regular expressions with the `v` flag.
 *
 * Details: a letter or digit right before it means the middle of a word (or an email), except in scripts that
 * write without spaces. Markdown emphasis (`**`, `_`, `~~`) is looked through.
 */

const unspaced = ["Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar"]
  .map((script) => `\\p{sc=${script}}`)
  .join("")

/** A letter, mark or digit of a script that puts spaces between words. */
const spacedWord = `[[\\p{L}\\p{M}\\p{N}]--[${unspaced}]]`

/** A position that no word and none of the `blocked` characters (escaped for a `v` class) leads up to. */
export const beginsWord = (blocked: string): string => `(?<![${spacedWord}${blocked}][*_~]{0,3})`

/** A position after which the word does not go on. */
export const endsWord = `(?![*_~]{0,3}${spacedWord})`
