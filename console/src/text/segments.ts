/** Cuts a text at the borders of its findings, so that findings that overlap can be shown in place. */

export interface Spanned {
  readonly span: { readonly start: number; readonly end: number }
}

/** A part of the text, and the findings that cover all of it. */
export interface Segment<Finding> {
  readonly start: number
  readonly text: string
  readonly findings: ReadonlyArray<Finding>
}

const isHighSurrogate = (text: string, index: number): boolean => (text.charCodeAt(index) & 0xfc00) === 0xd800
const isLowSurrogate = (text: string, index: number): boolean => (text.charCodeAt(index) & 0xfc00) === 0xdc00

/** The nearest border that does not cut a character in two. */
const border = (text: string, index: number): number => {
  const inside = Math.max(0, Math.min(index, text.length))
  return inside > 0 && isHighSurrogate(text, inside - 1) && isLowSurrogate(text, inside) ? inside - 1 : inside
}

/** The segments of a text, in order. Spans outside the text, and empty ones, are left out. */
export const segmentsOf = <Finding extends Spanned>(
  text: string,
  findings: ReadonlyArray<Finding>
): ReadonlyArray<Segment<Finding>> => {
  const placed = findings
    .map((finding) => ({
      finding,
      start: border(text, finding.span.start),
      end: border(text, finding.span.end)
    }))
    .filter(({ start, end }) => start < end)
    .sort((one, other) => one.start - other.start || other.end - one.end)
  const borders = [...new Set([0, text.length, ...placed.flatMap(({ start, end }) => [start, end])])].sort(
    (one, other) => one - other
  )
  const segments: Array<Segment<Finding>> = []
  let open: typeof placed = []
  let next = 0
  borders.forEach((start, index) => {
    const end = borders[index + 1]
    if (end === undefined) return
    open = open.filter((one) => one.end > start)
    while (placed[next] !== undefined && (placed[next]?.start ?? 0) <= start) {
      const one = placed[next++]
      if (one !== undefined) open.push(one)
    }
    segments.push({ start, text: text.slice(start, end), findings: open.map(({ finding }) => finding) })
  })
  return segments
}

/** A line under the text for each finding, so that two that overlap have different lines. At most `most` lines. */
export const lanesOf = <Finding extends Spanned>(
  findings: ReadonlyArray<Finding>,
  most: number
): ReadonlyMap<Finding, number> => {
  const ends: Array<number> = []
  const lanes = new Map<Finding, number>()
  for (const finding of findings.toSorted((one, other) => one.span.start - other.span.start)) {
    const free = ends.findIndex((end) => end <= finding.span.start)
    const lane = free === -1 ? Math.min(ends.length, most - 1) : free
    ends[lane] = Math.max(ends[lane] ?? 0, finding.span.end)
    lanes.set(finding, lane)
  }
  return lanes
}
