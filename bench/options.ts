/** The command line of `npm run bench`. */
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { isSuiteName, type SuiteName, suites } from "./suites.ts"

/** The whole run of the last release. */
export const recordedFile = fileURLToPath(new URL("./recorded.json", import.meta.url))

const usage = `Measure the runtime and the hub beside their peers.

npm run bench -- [options]

  --quick           About a minute: shows whether something broke; without isolates and memory
  --only SUITE,…    Measure some suites: ${Object.keys(suites).join(", ")}
  --soak RUNS       Runs of the soak; default 1,000,000
  --markdown        Print tables in Markdown
  --json FILE       Write the figures of every round, and the budgets, unless a suite fails; bench/recorded.json
                    only from a whole run
  --compare FILE    Compare with a recorded run; default bench/recorded.json
  --strict          Exit with 1 if a budget is missed
  --help            Show this help

Examples:
  npm run bench -- --only warm,hub
  npm run bench -- --json bench/recorded.json && npm run docs:performance

docs/performance.md explains suites and figures.
`

export interface Options {
  readonly quick: boolean
  readonly markdown: boolean
  readonly strict: boolean
  /** Absent: all that the scale measures. */
  readonly only?: ReadonlyArray<SuiteName>
  readonly soak?: number
  readonly json?: string
  readonly compare?: string
}

/** Prints the help, or what is wrong, and ends the process. */
const end = (problem?: string): never => {
  if (problem === undefined) process.stdout.write(usage)
  else process.stderr.write(`${problem}\nnpm run bench -- --help shows all options.\n`)
  process.exit(problem === undefined ? 0 : 2)
}

const suiteNamed = (name: string): SuiteName =>
  isSuiteName(name)
    ? name
    : end(`--only: there is no suite "${name}"; there are ${Object.keys(suites).join(", ")}`)

const runsOf = (text: string): number => {
  const runs = Number(text)
  return Number.isSafeInteger(runs) && runs > 0 ? runs : end(`--soak: a whole number of runs, not "${text}"`)
}

const parse = (args: ReadonlyArray<string>) =>
  parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      soak: { type: "string" },
      markdown: { type: "boolean", default: false },
      json: { type: "string" },
      compare: { type: "string" },
      strict: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false }
    }
  }).values

export const optionsOf = (args: ReadonlyArray<string>): Options => {
  let values: ReturnType<typeof parse>
  try {
    values = parse(args)
  } catch (error) {
    return end(error instanceof Error ? error.message : String(error))
  }
  const { help, only, soak, ...rest } = values
  if (help) end()
  const part = only !== undefined ? "--only" : rest.quick ? "--quick" : undefined
  if (part !== undefined && rest.json !== undefined && resolve(rest.json) === recordedFile)
    end(`${part} measures a part, and bench/recorded.json holds a whole run: name another file after --json`)
  return {
    ...rest,
    ...(only === undefined ? {} : { only: only.split(",").map(suiteNamed) }),
    ...(soak === undefined ? {} : { soak: runsOf(soak) })
  }
}
