/** Characters that show nothing, or change how others are shown, and texts that may hold them. */

/**
 * Controls other than tab and line feed, marks and overrides of the writing direction, spaces without width, tags. Not
 * U+200C, U+200D and variation selectors, which words and emoji need.
 */
const hidden =
  // oxlint-disable-next-line no-control-regex -- they are what it looks for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u

const all = new RegExp(hidden.source, "gu")

/** A hidden character by its number. */
export const nameOf = (character: string): string =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`

export interface Piece {
  readonly text: string
  readonly isHidden: boolean
}

/** Cuts a text into what shows and what does not. */
export const piecesOf = (text: string): ReadonlyArray<Piece> => {
  if (!hidden.test(text)) return [{ text, isHidden: false }]
  const pieces: Array<Piece> = []
  let end = 0
  for (const { 0: character, index } of text.matchAll(all)) {
    if (character === "\r" && text[index + 1] === "\n") continue
    if (index > end) pieces.push({ text: text.slice(end, index), isHidden: false })
    pieces.push({ text: character, isHidden: true })
    end = index + character.length
  }
  if (end < text.length) pieces.push({ text: text.slice(end), isHidden: false })
  return pieces
}

/** A text for places that cannot hold elements, such as titles and labels: hidden characters become their numbers. */
export const plain = (text: string): string =>
  piecesOf(text)
    .map((piece) => (piece.isHidden ? `[${nameOf(piece.text)}]` : piece.text))
    .join("")
