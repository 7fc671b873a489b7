/** Cuts the part of a text out that shows what was found. */
import type { Snippet } from "@agentlip/protocol"
import type { Range } from "./words.ts"

/** In UTF-16 code units. */
const longest = 240
const before = 60
const mostHighlights = 100

/** The second half of a surrogate pair, or a character that belongs to the one before it. */
const continues = /[\uDC00-\uDFFF]|\p{M}|\u200D/u

/** Sorted, and without overlaps. */
const merge = (ranges: ReadonlyArray<Range>): ReadonlyArray<Range> => {
  const merged: Array<Range> = []
  for (const range of ranges.toSorted((one, other) => one.start - other.start || other.end - one.end)) {
    const last = merged.at(-1)
    if (last !== undefined && range.start < last.end) {
      merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, range.end) }
    } else merged.push(range)
  }
  return merged
}

const startBefore = (text: string, first: number): number => {
  if (first <= before) return 0
  const lead = text.slice(first - before, first)
  const space = /\s\S/.exec(lead)
  let start = first - before + (space === null ? 0 : space.index + 1)
  while (start < first && continues.test(text.charAt(start))) start++
  return start
}

const endAfter = (text: string, start: number): number => {
  if (text.length <= start + longest) return text.length
  const space = /\s\S*$/.exec(text.slice(start + longest - before, start + longest))
  let end = space === null ? start + longest : start + longest - before + space.index
  while (end > start && continues.test(text.charAt(end))) end--
  return end
}

/** The text around the first of the ranges, with all ranges in it. */
export const snippetOf = (text: string, ranges: ReadonlyArray<Range>): Snippet => {
  const all = merge(ranges)
  const start = startBefore(text, all[0]?.start ?? 0)
  const end = endAfter(text, start)
  return {
    text: text.slice(start, end),
    highlights: all
      .filter((range) => range.start < end && range.end > start)
      .slice(0, mostHighlights)
      .map((range) => ({ start: range.start - start, end: Math.min(range.end, end) - start })),
    cut_before: start > 0,
    cut_after: end < text.length
  }
}
