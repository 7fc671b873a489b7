/**
 * `npm run soak`: a hub under mixed load with hostile plugins, and whether it stays as it was. Exit code 1 if not.
 *
 * Options: `--minutes N` (30), `--seed N` (printed; the same seed makes the same choices, not the same instants),
 * `--log FILE` (the hub's log). Ctrl-C ends the load, and gives the verdict on what there was.
 */
import { randomInt } from "node:crypto"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import type { Sample } from "./samples.ts"
import { soak } from "./soak.ts"
import { type Check, verdict } from "./verdict.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    seed: { type: "string", default: String(randomInt(1_000_000)) },
    log: { type: "string", default: join(tmpdir(), `agentlip-soak-${process.pid}.log`) }
  }
})
const minutes = Number(values.minutes)
const seed = Number(values.seed)
if (!(minutes > 0) || !Number.isInteger(seed))
  throw new Error("--minutes takes a number over 0, --seed a whole number")

const print = (text: string): void => void process.stdout.write(`${text}\n`)
const row = (cells: ReadonlyArray<string | number>): string =>
  cells.map((cell) => String(cell).padStart(8)).join(" ")

const interruption = new AbortController()
process.once("SIGINT", () => interruption.abort())

let printed = 0
const onSample = (sample: Sample): void => {
  // Twelve samples a minute are too many to read.
  if (printed++ % 6 !== 0) return
  print(
    row([
      sample.minutes.toFixed(1),
      sample.residentMiB.toFixed(0),
      sample.handles,
      sample.threads,
      sample.processes,
      sample.childrenMiB.toFixed(0),
      sample.openJobs,
      sample.listeners,
      sample.p50.toFixed(1),
      sample.p99.toFixed(1)
    ]) + `  ${sample.notClosed.join(" ")}`
  )
}

const mark = ({ ok }: Check): string => (ok === undefined ? "-" : ok ? "ok" : "FAILED")

print(`seed ${seed}, ${minutes} minutes, the hub's log is in ${values.log}`)
print(
  row(["minutes", "MiB", "handles", "threads", "children", "MiB", "jobs", "clients", "p50", "p99"]) +
    "  circuits not closed"
)
const soaked = await soak({ minutes, seed, log: values.log, interrupted: interruption.signal, onSample })
print("")
for (const [what, value] of soaked.figures) print(`${what}: ${value}`)
print("")
const checks = verdict(soaked)
for (const check of checks)
  print(`${mark(check).padEnd(7)} ${check.what}: ${check.seen} (allowed: ${check.allowed})`)
process.exitCode = checks.some(({ ok }) => ok === false) ? 1 : 0
