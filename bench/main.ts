/**
 * `npm run bench`: the runtime, everything switched on, beside its peers in the same run. See docs/performance.md.
 */
import { existsSync } from "node:fs"
import { loadavg } from "node:os"
import { budgetTable, judge } from "./budgets.ts"
import { changeTable, compare } from "./compare.ts"
import { availableLevels } from "./contenders/agentlip.ts"
import type { Scale } from "./figures.ts"
import { failureText, measure, measureAll } from "./measure.ts"
import { optionsOf, recordedFile } from "./options.ts"
import { record, recorded } from "./record.ts"
import { report, title } from "./report.ts"
import { suiteNames } from "./suites.ts"

const options = optionsOf(process.argv.slice(2))
const { quick, markdown } = options
const scale: Omit<Scale, "seconds"> = {
  quick,
  rounds: quick ? 2 : 5,
  turn: quick ? 60 : 600,
  warmUp: quick ? { calls: 2_000, millis: 400 } : { calls: 10_000, millis: 2_000 },
  soak: options.soak ?? (quick ? 20_000 : 1_000_000)
}
/** Not in a quick run unless asked for: they wait more than they measure. */
const slow: ReadonlySet<string> = new Set(["isolates", "memory"])
const chosen = options.only ?? suiteNames.filter((name) => !quick || !slow.has(name))
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
const measured = await measureAll(chosen, async (name) => {
  const begin = performance.now()
  const figures = await measure(name, scale, levels)
  tell(`${name}: ${((performance.now() - begin) / 1000).toFixed(0)} s`)
  return figures
})
const { figures, failures } = measured

const verdicts = judge(figures)
say(report(figures, markdown))
if (verdicts.length > 0) say(`${title("Budgets", markdown)}\n${budgetTable(verdicts, markdown)}\n`)
const changes = before === undefined ? [] : compare(before, figures)
if (changes.length > 0) say(`${title("Changes", markdown)}\n${changeTable(changes, markdown)}\n`)
process.stderr.write(failureText(failures))
if (options.json !== undefined && !record(options.json, measured, verdicts))
  tell(`${options.json} was not written: a suite failed`)
if (failures.length > 0 || (options.strict && verdicts.some(({ judgement }) => judgement === "missed")))
  process.exitCode = 1
