/**
 * Runs the fuzz tests with one seed after the other, each with ten times as many values as `npm test` tries, until
 * the time is over or something fails. `FUZZ_SECONDS` is how long (default 300); `FUZZ_SEED` is the first seed, for
 * a failure to be seen again (then with one round only, unless `FUZZ_SECONDS` is set too).
 */
import { spawnSync } from "node:child_process"

const given = process.env["FUZZ_SEED"]
const seconds = Number(process.env["FUZZ_SECONDS"] ?? (given === undefined ? 300 : 0))
let seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given)
if (!Number.isInteger(seed) || !(seconds >= 0)) {
  process.stderr.write("FUZZ_SEED must be a whole number, FUZZ_SECONDS a number of seconds\n")
  process.exit(1)
}

const end = performance.now() + seconds * 1000
let rounds = 0
do {
  process.stdout.write(`seed ${seed}\n`)
  const { status } = spawnSync(
    "npx",
    ["vitest", "run", "--project", "main", "--bail", "1", "--reporter", "dot", "test/fuzz", "hub/test/fuzz"],
    {
      stdio: "inherit",
      env: { ...process.env, FUZZ_SEED: String(seed), FUZZ_FACTOR: process.env["FUZZ_FACTOR"] ?? "10" }
    }
  )
  if (status !== 0) {
    process.stderr.write(`failed with seed ${seed}; to see it again: FUZZ_SEED=${seed} npm run fuzz\n`)
    process.exit(1)
  }
  rounds++
  seed = (seed + 1) % 2 ** 31
} while (performance.now() < end)
process.stdout.write(`${rounds} rounds, nothing found\n`)
