/** This run beside one that was recorded. */
import { type Figure, keyOf } from "./figures.ts"
import { grid, number } from "./report.ts"
import { summary } from "./stats.ts"

export interface Change {
  readonly what: string
  readonly before: number
  readonly now: number
  /** What it is now, divided by what it was. */
  readonly ratio: number
  /** Whether all rounds of one run lie beyond all of the other's; two runs of one round each cannot tell. */
  readonly verdict: "better" | "worse" | "within the spread"
}

export const compare = (before: ReadonlyArray<Figure>, now: ReadonlyArray<Figure>): ReadonlyArray<Change> => {
  const recorded = new Map(before.map((figure) => [keyOf(figure), figure]))
  return now.flatMap((figure) => {
    const old = recorded.get(keyOf(figure))
    if (old === undefined) return []
    const [was, is] = [summary(old.rounds), summary(figure.rounds)]
    const apart = old.rounds.length + figure.rounds.length > 2 && (is.min > was.max || is.max < was.min)
    const improved = is.median > was.median === (figure.better === "more")
    return [
      {
        what: `${figure.table}: ${figure.contender}`,
        before: was.median,
        now: is.median,
        ratio: is.median / was.median,
        verdict: apart ? (improved ? "better" : "worse") : "within the spread"
      }
    ]
  })
}

export const changeTable = (changes: ReadonlyArray<Change>, markdown: boolean): string =>
  grid(
    [
      ["beside the recorded run", "before", "now", "now / before", ""],
      ...changes.map(({ what, before, now, ratio, verdict }) => [
        what,
        number(before),
        number(now),
        number(ratio),
        verdict
      ])
    ],
    markdown
  )
