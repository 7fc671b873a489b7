/** One table of ratios for people, the same as JSON for `--json`. */
import { median, spread } from "./stats.ts"

/** What this contender may cost beside another: its figure divided by the other's. */
export interface Budget {
  readonly against: string
  readonly ratio: `${"<=" | ">="} ${number}`
}

export interface Row {
  readonly suite: string
  readonly contender: string
  readonly unit: string
  /** One figure a round. */
  readonly rounds: ReadonlyArray<number>
  readonly budget?: Budget
}

const figure = (value: number): string =>
  value >= 1000
    ? Math.round(value).toLocaleString("en-US")
    : value >= 10
      ? value.toFixed(1)
      : value.toFixed(2)

const budgetLine = (row: Row, { against, ratio }: Budget, rows: ReadonlyArray<Row>): string => {
  const other = rows.find(({ suite, contender }) => suite === row.suite && contender === against)
  const is = median(row.rounds) / median(other?.rounds ?? [])
  const bound = Number(ratio.slice(3))
  const kept = ratio.startsWith("<") ? is <= bound : is >= bound
  return `  budget: ${row.contender} ${ratio} x ${against}: ${is.toFixed(2)}${kept ? "" : ", MISSED"}`
}

export const table = (rows: ReadonlyArray<Row>): string => {
  const lines: Array<string> = []
  for (const suite of new Set(rows.map((row) => row.suite))) {
    const ours = rows.find((row) => row.suite === suite && row.contender.startsWith("agentlip"))
    lines.push("", suite)
    for (const row of rows.filter((candidate) => candidate.suite === suite)) {
      const value = median(row.rounds)
      const ratio =
        ours === undefined || ours === row
          ? ""
          : `agentlip is ${(median(ours.rounds) / value).toFixed(2)} x this`
      lines.push(
        `  ${row.contender.padEnd(28)}${figure(value).padStart(12)} ${row.unit.padEnd(8)} ±${Math.round(spread(row.rounds) * 100)}%`.padEnd(
          62
        ) + ratio
      )
    }
    for (const row of rows) {
      if (row.suite === suite && row.budget !== undefined) lines.push(budgetLine(row, row.budget, rows))
    }
  }
  return lines.join("\n")
}

export const json = (rows: ReadonlyArray<Row>): string =>
  JSON.stringify(
    {
      node: process.version,
      rows: rows.map((row) => ({ ...row, median: median(row.rounds), spread: spread(row.rounds) }))
    },
    undefined,
    2
  )
