/** Writes the tables of docs/performance.md from the figures of bench/recorded.json. */
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { budgetTable, judge } from "./budgets.ts"
import { recorded } from "./record.ts"
import { tableOf } from "./report.ts"

const page = fileURLToPath(new URL("../docs/performance.md", import.meta.url))
const figures = recorded(fileURLToPath(new URL("./recorded.json", import.meta.url)))

const contentOf = (name: string): string => {
  if (name === "budgets") return budgetTable(judge(figures), true)
  const own = figures.filter(({ table }) => table === name)
  if (own.length === 0) throw new Error(`bench/recorded.json has no table "${name}"`)
  return tableOf(own, true)
}

/** The page with the recorded figures. */
export const pageText = fs
  .readFileSync(page, "utf8")
  .replace(
    /(<!-- figures: (.+) -->\n)[^]*?\n(?=<!-- end of figures -->)/g,
    (_, start: string, name: string) => `${start}\n${contentOf(name)}\n\n`
  )

if (process.argv[1] === fileURLToPath(import.meta.url)) fs.writeFileSync(page, pageText)
