/**
 * `npm run test:kill`: 100 kills during 10,000 posts, edits and deletes. Exit code 1 if anything was lost, done twice
 * or left undone.
 *
 * Options: `--kills N`, `--operations N`, `--clients N`, `--seed N` (printed; the same seed makes the same choices, not
 * the same instants).
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import { killTest } from "./killTest.ts"

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "100" },
    operations: { type: "string", default: "10000" },
    clients: { type: "string", default: "12" },
    seed: { type: "string", default: String(randomInt(1_000_000)) }
  }
})
const print = (text: string): void => void process.stdout.write(`${text}\n`)

const main = Effect.gen(function* () {
  print(`seed ${values.seed}`)
  const { figures, violations } = yield* killTest({
    kills: Number(values.kills),
    operations: Number(values.operations),
    clients: Number(values.clients),
    seed: Number(values.seed),
    progress: print
  })
  for (const [name, value] of Object.entries(figures)) print(`${String(value).padStart(8)}  ${name}`)
  for (const violation of violations.slice(0, 50)) print(`VIOLATION ${violation}`)
  print(
    violations.length === 0 ? "nothing was lost, nothing was done twice" : `${violations.length} violations`
  )
  process.exitCode = violations.length === 0 ? 0 : 1
})

// Ctrl-C takes the hub with it.
NodeRuntime.runMain(main)
