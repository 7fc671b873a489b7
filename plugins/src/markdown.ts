/**
 * Finds the code in a message. Chat messages are Markdown, and code is not prose: linkifiers replace it with spaces before
 * they look, so offsets stay the same.
 *
 * Code is: fenced blocks (backticks or tildes, in quotes and list items too; one that is not closed goes to the end), and
 * inline spans as in CommonMark: a span ends at the next run of as many backticks, within its paragraph. Indented blocks
 * are not code here: in chat they rarely are. The time is linear in the length of any text.
 */

/** Code in a message: UTF-16 units, `end` exclusive, fences and backticks included. */
export interface CodeRegion {
  readonly start: number
  readonly end: number
  readonly fenced: boolean
}

interface Run {
  readonly start: number
  readonly end: number
  /** Backticks that can open a span: all, except one that a backslash escapes. */
  readonly opens: number
}

const openingFence = /^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}(?=[^`]*$)|~{3,})/
const closingFence = /^[ \t>]*(`{3,}|~{3,})[ \t\r]*$/
const blankLine = /^[ \t>\r]*$/
const blockStart = /^[ \t>]*(?:[-*+]|\d{1,9}[.)]|#{1,6})[ \t]/

function* linesOf(
  text: string
): Generator<{ readonly line: string; readonly start: number; readonly end: number }> {
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf("\n", start)
    const end = newline < 0 ? text.length : newline + 1
    yield { line: text.slice(start, newline < 0 ? end : newline), start, end }
    start = end
  }
}

/** Backtick runs of a line, each with the backslashes before it. */
const runsOf = (line: string, offset: number): Array<Run> =>
  Array.from(line.matchAll(/(?<!\\)(\\*)(`+)/g), (found) => {
    const [all, slashes = "", ticks = ""] = found
    const end = offset + found.index + all.length
    return { start: end - ticks.length, end, opens: ticks.length - (slashes.length % 2) }
  })

/** The code spans of one paragraph. */
const spansOf = (runs: ReadonlyArray<Run>): Array<CodeRegion> => {
  const closers = new Map<Run, Run>()
  const nextOfLength = new Map<number, Run>()
  for (const run of runs.toReversed()) {
    const closer = nextOfLength.get(run.opens)
    if (closer !== undefined) closers.set(run, closer)
    nextOfLength.set(run.end - run.start, run)
  }
  const spans: Array<CodeRegion> = []
  let end = 0
  for (const run of runs) {
    const closer = run.start < end ? undefined : closers.get(run)
    if (closer === undefined) continue
    end = closer.end
    spans.push({ start: run.end - run.opens, end, fenced: false })
  }
  return spans
}

/** All code of a message, in order. */
export const codeRegions = (text: string): ReadonlyArray<CodeRegion> => {
  const regions: Array<CodeRegion> = []
  let paragraph: Array<Run> = []
  let fence: { readonly marker: string; readonly start: number } | undefined
  const endParagraph = (): void => {
    for (const span of spansOf(paragraph)) regions.push(span)
    paragraph = []
  }
  for (const { line, start, end } of linesOf(text)) {
    if (fence !== undefined) {
      if (closingFence.exec(line)?.[1]?.startsWith(fence.marker) === true) {
        regions.push({ start: fence.start, end, fenced: true })
        fence = undefined
      }
      continue
    }
    const marker = openingFence.exec(line)?.[1]
    if (marker !== undefined || blankLine.test(line) || blockStart.test(line)) endParagraph()
    if (marker !== undefined) fence = { marker, start }
    else for (const run of runsOf(line, start)) paragraph.push(run)
  }
  endParagraph()
  if (fence !== undefined) regions.push({ start: fence.start, end: text.length, fenced: true })
  return regions
}

/** The text with these regions (in order, not overlapping) replaced by spaces. Its length stays the same. */
export const blank = (
  text: string,
  regions: ReadonlyArray<{ readonly start: number; readonly end: number }>
): string => {
  const parts: Array<string> = []
  let from = 0
  for (const { start, end } of regions) {
    parts.push(text.slice(from, start), " ".repeat(end - start))
    from = end
  }
  parts.push(text.slice(from))
  return parts.join("")
}

const addresses = /(?:https?|ftp|ssh|git):\/\/[^\s<>")]+/gi

/** The text with its code and URLs replaced by spaces. */
export const prose = (text: string): string => {
  const outsideCode = blank(text, codeRegions(text))
  return outsideCode.replace(addresses, (address) => " ".repeat(address.length))
}
