/** The card that shows what plugins found at a place of a text. One for the whole page. */
import type { Enrichment } from "@agentlip/protocol"
import { signal } from "@preact/signals"
import { useLayoutEffect, useRef } from "preact/hooks"
import { pathOf } from "../route.ts"
import { addressIn } from "../text/links.ts"
import { Name, Visible } from "./Name.tsx"
import { PluginLink } from "./PluginLink.tsx"
import { Time } from "./Time.tsx"

interface Card {
  readonly findings: ReadonlyArray<Enrichment>
  readonly at: DOMRect
}

export const cardId = "finding-card"

const card = signal<Card | undefined>(undefined)
let closing: ReturnType<typeof setTimeout> | undefined

export const showCard = (findings: ReadonlyArray<Enrichment>, target: EventTarget | null): void => {
  clearTimeout(closing)
  if (!(target instanceof Element)) return
  const [first] = target.getClientRects()
  card.value = { findings, at: first ?? target.getBoundingClientRect() }
}

export const hideCard = (): void => {
  clearTimeout(closing)
  card.value = undefined
}

/** Waits a moment, so that the pointer can move into the card. */
export const leaveCard = (): void => {
  clearTimeout(closing)
  closing = setTimeout(hideCard, 250)
}

const keepCard = (): void => clearTimeout(closing)

const maxData = 2_000

const Data = ({ data }: { readonly data: Enrichment["data"] }) => {
  const text = JSON.stringify(data, null, 2)
  if (text === "{}") return null
  return (
    <pre dir="ltr" tabIndex={0} aria-label="Data">
      <Visible text={text.length > maxData ? `${text.slice(0, maxData)}…` : text} />
    </pre>
  )
}

const One = ({ finding }: { readonly finding: Enrichment }) => {
  const address = addressIn(finding.data)
  return (
    <section>
      <h3>
        <Name text={finding.kind} />
        <span class="quiet">
          {finding.span.start}–{finding.span.end}
        </span>
      </h3>
      {address !== undefined && (
        <p class="quiet address">
          goes to <bdi dir="ltr">{address.href}</bdi>
        </p>
      )}
      <Data data={finding.data} />
      <p class="quiet">
        found by <PluginLink {...finding} />,{" "}
        {finding.message_id === "" ? (
          "in this run"
        ) : (
          <a href={pathOf.run(finding.plugin_name, finding.message_id)}>
            <span class="visually-hidden">its run, </span>
            <Time iso={finding.created_at} form="exact" />
          </a>
        )}
      </p>
    </section>
  )
}

const margin = 8

export const FindingCard = () => {
  const element = useRef<HTMLDivElement>(null)
  const shown = card.value
  useLayoutEffect(() => {
    if (element.current === null || shown === undefined) return
    const { offsetWidth: width, offsetHeight: height, style } = element.current
    const { at } = shown
    const below = at.bottom + margin / 2
    const top = below + height > innerHeight ? Math.max(margin, at.top - height - margin / 2) : below
    style.top = `${top}px`
    style.left = `${Math.max(margin, Math.min(at.left, innerWidth - width - margin))}px`
  })
  if (shown === undefined) return null
  return (
    <div
      id={cardId}
      class="card"
      role="group"
      aria-label="Findings"
      ref={element}
      onPointerEnter={keepCard}
      onPointerLeave={leaveCard}
    >
      {shown.findings.slice(0, 8).map((finding) => (
        <One key={finding.id} finding={finding} />
      ))}
      {shown.findings.length > 8 && <p class="quiet">and {shown.findings.length - 8} more</p>}
    </div>
  )
}
