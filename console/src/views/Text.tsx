/** The text of a message, with what plugins found in it underlined in place. */
import type { Enrichment } from "@agentlip/protocol"
import { useMemo, useState } from "preact/hooks"
import { addressIn, isMisleading } from "../text/links.ts"
import { lanesOf, type Segment, segmentsOf } from "../text/segments.ts"
import { cardId, hideCard, leaveCard, showCard } from "./FindingCard.tsx"
import { Visible } from "./Name.tsx"

/** Longer texts are cut until the reader asks for the rest. In UTF-16 units, and in lines. */
const maxLength = 3_000
const maxLines = 40
const maxLanes = 4
/** In pixels. */
const laneHeight = 3
const kinds = 6

/** The colour of a kind: always the same. */
const colourOf = (kind: string): number => {
  let sum = 0
  for (let index = 0; index < kind.length; index++) sum = (sum * 31 + kind.charCodeAt(index)) >>> 0
  return sum % kinds
}

/** One line for each finding, one under the other. Each lane has the same place in the whole text. */
const linesUnder = (findings: ReadonlyArray<Enrichment>, lanes: ReadonlyMap<Enrichment, number>) => {
  const shown = findings.slice(0, maxLanes)
  const last = Math.max(0, ...lanes.values())
  return {
    paddingBottom: `${last * laneHeight}px`,
    backgroundImage: shown.map(({ kind }) => `linear-gradient(var(--kind-${colourOf(kind)}) 0 0)`).join(","),
    backgroundPosition: shown
      .map((finding) => `0 calc(100% - ${(last - (lanes.get(finding) ?? 0)) * laneHeight}px)`)
      .join(",")
  }
}

interface PlaceProps {
  readonly segment: Segment<Enrichment>
  readonly lanes: ReadonlyMap<Enrichment, number>
  /** The whole text of the first finding; this is a part of it. */
  readonly whole: string
}

const Place = ({ segment: { text, findings }, lanes, whole }: PlaceProps) => {
  const address = findings.map(({ data }) => addressIn(data)).find((found) => found !== undefined)
  const common = {
    class: "finding",
    style: linesUnder(findings, lanes),
    "aria-describedby": cardId,
    onPointerEnter: (event: Event) => showCard(findings, event.currentTarget),
    onPointerLeave: leaveCard,
    onFocus: (event: Event) => showCard(findings, event.currentTarget),
    onBlur: hideCard
  }
  if (address === undefined) {
    return (
      <span {...common} role="note" tabIndex={0}>
        <Visible text={text} />
      </span>
    )
  }
  return (
    <>
      <a {...common} href={address.href} target="_blank" rel="noopener noreferrer nofollow">
        <Visible text={text} />
      </a>
      {isMisleading(whole, address) && <span class="real-host">→ {address.host}</span>}
    </>
  )
}

const cut = (text: string): string => {
  let end = Math.min(text.length, maxLength)
  for (let line = 0, at = -1; line < maxLines; line++) {
    at = text.indexOf("\n", at + 1)
    if (at === -1 || at >= end) break
    if (line === maxLines - 1) end = at
  }
  // Not in the middle of a character.
  return text.slice(0, end < text.length && (text.charCodeAt(end) & 0xfc00) === 0xdc00 ? end - 1 : end)
}

interface Props {
  readonly text: string
  readonly enrichments: ReadonlyArray<Enrichment>
}

export const Text = ({ text, enrichments }: Props) => {
  const [isWhole, setWhole] = useState(false)
  const short = useMemo(() => cut(text), [text])
  const shown = isWhole ? text : short
  const [segments, lanes] = useMemo(
    () => [segmentsOf(shown, enrichments), lanesOf(enrichments, maxLanes)] as const,
    [shown, enrichments]
  )
  return (
    <>
      <p class="text" dir="auto">
        {segments.map((segment) => {
          const [first] = segment.findings
          if (first === undefined) return <Visible key={segment.start} text={segment.text} />
          const whole = text.slice(first.span.start, first.span.end)
          return <Place key={segment.start} segment={segment} lanes={lanes} whole={whole} />
        })}
        {short.length < text.length && !isWhole && "…"}
      </p>
      {short.length < text.length && (
        <button type="button" class="link" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Show less" : `Show all ${text.length.toLocaleString()} characters`}
        </button>
      )}
    </>
  )
}
