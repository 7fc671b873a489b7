/** Tables of figures for people, in plain text or Markdown. */
import type { Figure } from "./figures.ts"
import { median, spread } from "./stats.ts"

export const number = (value: number): string =>
  Number.isNaN(value)
    ? "-"
    : value >= 1000
      ? Math.round(value).toLocaleString("en-US")
      : value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)

export type Cells = ReadonlyArray<ReadonlyArray<string>>

/** The first row is the head; the first column reads from the left, figures from the right. */
export const grid = ([head = [], ...body]: Cells, markdown: boolean): string => {
  const rows = [head, ...body]
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: ReadonlyArray<string>): string => {
    const cells = widths.map((width, column) => {
      const cell = row[column] ?? ""
      return column === 0 ? cell.padEnd(width) : cell.padStart(width)
    })
    return markdown ? `| ${cells.join(" | ")} |` : `  ${cells.join("  ")}`.trimEnd()
  }
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`))
  return [line(head), ...(markdown ? [`| ${rule.join(" | ")} |`] : []), ...body.map(line)].join("\n")
}

export const title = (text: string, markdown: boolean): string => (markdown ? `### ${text}\n` : text)

const cost = (rounds: ReadonlyArray<number> | undefined): string =>
  rounds === undefined ? "" : number(median(rounds))

/** Rounds that differ this much from their median say little: another run may give another figure. */
const noise = 0.25

const spreadText = (rounds: ReadonlyArray<number>): string => {
  const share = spread(rounds)
  return `±${Math.round(share * 100)}%${share > noise ? " noise" : ""}`
}

/** One table, the runtime's own figure divided by each other's beside it. */
export const tableOf = (figures: ReadonlyArray<Figure>, markdown: boolean): string => {
  const ours = figures.find(({ contender }) => contender.startsWith("agentlip"))
  const others = figures.some(({ contender }) => !contender.startsWith("agentlip"))
  const costs = figures.some(({ cost }) => cost !== undefined)
  const row = (figure: Figure): ReadonlyArray<string> => {
    const value = median(figure.rounds)
    const ratio = ours === undefined || ours === figure ? "" : number(median(ours.rounds) / value)
    const share = figure.cost === undefined ? "" : `${Math.round(100 * median(figure.cost.loop))}%`
    return [
      figure.contender,
      number(value),
      spreadText(figure.rounds),
      ...(ours !== undefined && others ? [ratio] : []),
      ...(costs ? [cost(figure.cost?.cpu), cost(figure.cost?.mainThread), share] : [])
    ]
  }
  const head = [
    "",
    figures[0]?.unit ?? "",
    "spread",
    ...(ours !== undefined && others ? ["agentlip / this"] : []),
    ...(costs ? ["CPU us/run", "main thread us/run", "loop busy"] : [])
  ]
  return grid([head, ...figures.map(row)], markdown)
}

export const report = (figures: ReadonlyArray<Figure>, markdown: boolean): string =>
  [...new Set(figures.map(({ table }) => table))]
    .map((name) => {
      const own = figures.filter((figure) => figure.table === name)
      const better = own[0]?.better === "less" ? "less is better" : "more is better"
      return `${title(`${name} (${better})`, markdown)}\n${tableOf(own, markdown)}\n`
    })
    .join("\n")
