/**
 * `npm run bench`: the runtime, everything switched on, beside its peers in the same run. See docs/performance.md.
 *
 * Options: `--quick` (fewer and shorter rounds, without isolates and memory), `--only SUITE,…`, `--soak RUNS`, `--markdown`, `--json FILE`,
 * `--compare FILE` (a run that `--json` has recorded; default `bench/recorded.json` if it exists). Exit code 1 if a budget
 * is missed and `--strict` is given.
 */
import { existsSync } from "node:fs"
import { loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { budgetTable, judge } from "./budgets.ts"
import { changeTable, compare } from "./compare.ts"
import { availableLevels } from "./contenders/agentlip.ts"
import type { Figure, Scale } from "./figures.ts"
import { measure } from "./measure.ts"
import { record, recorded } from "./record.ts"
import { report, title } from "./report.ts"
import { isSuiteName, suites } from "./suites.ts"

/** The run of the last release. */
const recordedFile = fileURLToPath(new URL("./recorded.json", import.meta.url))

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    soak: { type: "string" },
    markdown: { type: "boolean", default: false },
    json: { type: "string" },
    compare: { type: "string" },
    strict: { type: "boolean", default: false }
  }
})
const { quick, markdown } = options
const scale: Omit<Scale, "seconds"> = {
  quick,
  rounds: quick ? 2 : 5,
  turn: quick ? 60 : 600,
  warmUp: quick ? { calls: 2_000, millis: 400 } : { calls: 20_000, millis: 4_000 },
  soak: Number(options.soak ?? (quick ? 20_000 : 1_000_000))
}
if (!Number.isSafeInteger(scale.soak) || scale.soak <= 0) throw new Error("--soak: a whole number of runs")
/** Not in a quick run unless asked for: they wait more than they measure. */
const slow: ReadonlySet<string> = new Set(["isolates", "memory"])
const standard = Object.keys(suites).filter((name) => !quick || !slow.has(name))
const chosen = (options.only?.split(",") ?? standard).map((name) => {
  if (isSuiteName(name)) return name
  throw new Error(`There is no suite "${name}"; there are ${Object.keys(suites).join(", ")}`)
})
// Before anything is measured: a file that cannot be read is said at once.
const before =
  options.compare !== undefined
    ? recorded(options.compare)
    : existsSync(recordedFile)
      ? recorded(recordedFile)
      : undefined

const say = (text: string): void => void process.stdout.write(`${text}\n`)
/** Beside the report, which may go into a file. */
const tell = (text: string): void => void process.stderr.write(`${text}\n`)

const [load = 0] = loadavg()
if (load > 0.3) tell(`other programs use this machine (load ${load.toFixed(1)}): figures will be noisy`)

const levels = await availableLevels(tell)
const figures: Array<Figure> = []
for (const name of chosen) {
  const begin = performance.now()
  figures.push(...(await measure(name, scale, levels)))
  tell(`${name}: ${((performance.now() - begin) / 1000).toFixed(0)} s`)
}

const verdicts = judge(figures)
say(report(figures, markdown))
if (verdicts.length > 0) say(`${title("Budgets", markdown)}\n${budgetTable(verdicts, markdown)}\n`)
if (before !== undefined) {
  say(`${title("Changes", markdown)}\n${changeTable(compare(before, figures), markdown)}\n`)
}
if (options.json !== undefined) record(options.json, figures, verdicts)
if (options.strict && verdicts.some(({ judgement }) => judgement === "missed")) process.exitCode = 1
