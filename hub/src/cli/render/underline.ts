/**
 * Marks spans in a text: with colours and underlines, or with lines of `^` below. Spans count UTF-16 code units, but
 * the output is laid out in columns: wide characters take two, and control characters are escaped.
 */
import { printable } from "@agentlip/plugin-runtime/text"
import { CliOutput } from "effect/cli"

export interface TextSpan {
  readonly start: number
  readonly end: number
}

/** One visible character. */
interface Cell {
  readonly shown: string
  readonly width: number
  /** Indices of the spans that overlap the character. */
  readonly spans: ReadonlyArray<number>
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

const tabStop = 8

/** Splits a text into lines of at most `columns`. A line end gets a cell of its own if a span covers it. */
const cellsOf = (
  text: string,
  spans: ReadonlyArray<TextSpan>,
  columns: number
): ReadonlyArray<ReadonlyArray<Cell>> => {
  const covering = (start: number, end: number): ReadonlyArray<number> =>
    spans.flatMap((span, index) => (span.start < end && span.end > start ? [index] : []))
  const lines: Array<Array<Cell>> = []
  let line: Array<Cell> = []
  let column = 0
  const breakLine = (): void => {
    lines.push(line)
    line = []
    column = 0
  }
  for (const { segment, index } of graphemes.segment(text)) {
    const covered = covering(index, index + segment.length)
    if (segment === "\n" || segment === "\r\n") {
      if (covered.length > 0) line.push({ shown: "⏎", width: 1, spans: covered })
      breakLine()
      continue
    }
    const shown = segment === "\t" ? " ".repeat(tabStop - (column % tabStop)) : printable(segment)
    const width = CliOutput.displayWidth(shown)
    if (column > 0 && column + width > columns) breakLine()
    line.push({ shown, width, spans: covered })
    column += width
  }
  breakLine()
  return lines
}

/** The colours of spans, in turn. Where spans overlap, the colour of the last one is used. */
const colours = [36, 33, 35, 32, 34, 31] as const

/** The escape code for the colour of span `index`. */
export const colourOf = (index: number): string => `\u001B[${colours[index % colours.length]}m`

/** Ends colours and underlines. */
export const plain = "\u001B[0m"

const styleOf = ({ spans }: Cell, colour: (index: number) => string): string => {
  const last = spans.at(-1)
  if (last === undefined) return ""
  // Bold if spans overlap.
  return `\u001B[4m${spans.length > 1 ? "\u001B[1m" : ""}${colour(last)}`
}

/** The lines of a text with its spans underlined, for terminals with ANSI escape codes. */
export const underlined = (
  text: string,
  spans: ReadonlyArray<TextSpan>,
  colour = colourOf
): ReadonlyArray<string> =>
  cellsOf(text, spans, Number.POSITIVE_INFINITY).map((line) => {
    let shown = ""
    let style = ""
    for (const cell of line) {
      const next = styleOf(cell, colour)
      if (next !== style) shown += (style === "" ? "" : plain) + next
      style = next
      shown += cell.shown
    }
    return style === "" ? shown : shown + plain
  })

/** The rows of `^` below one line. Overlapping spans get separate rows. */
const marksOf = (line: ReadonlyArray<Cell>): ReadonlyArray<string> => {
  const rows: Array<{ readonly spans: Set<number>; marks: string }> = []
  const present = [...new Set(line.flatMap(({ spans }) => spans))].toSorted((a, b) => a - b)
  for (const span of present) {
    const overlaps = (row: { readonly spans: Set<number> }): boolean =>
      line.some(({ spans }) => spans.includes(span) && spans.some((other) => row.spans.has(other)))
    const row = rows.find((row) => !overlaps(row))
    if (row === undefined) rows.push({ spans: new Set([span]), marks: "" })
    else row.spans.add(span)
  }
  for (const row of rows) {
    for (const { spans, width } of line)
      row.marks += (spans.some((span) => row.spans.has(span)) ? "^" : " ").repeat(width)
  }
  return rows.map(({ marks }) => marks.trimEnd())
}

/** The lines of a text, with rows of `^` below the spans. Lines wider than `columns` are broken. */
export const marked = (
  text: string,
  spans: ReadonlyArray<TextSpan>,
  columns = Number.POSITIVE_INFINITY
): ReadonlyArray<string> =>
  cellsOf(text, spans, columns).flatMap((line) => [line.map(({ shown }) => shown).join(""), ...marksOf(line)])
