/** A run's figures as a file, for people's own tables and for `--compare`. */
import { Schema } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import type { Verdict } from "./budgets.ts"
import type { Figure } from "./figures.ts"
import type { Measured } from "./measure.ts"

const Numbers = Schema.Array(Schema.NullOr(Schema.Finite))
const Recorded = Schema.fromJsonString(
  Schema.Struct({
    figures: Schema.Array(
      Schema.Struct({
        table: Schema.String,
        contender: Schema.String,
        unit: Schema.String,
        better: Schema.Literals(["more", "less"]),
        rounds: Numbers,
        cost: Schema.optionalKey(
          Schema.Struct({
            cpu: Schema.Array(Schema.Finite),
            mainThread: Schema.Array(Schema.Finite),
            loop: Schema.Array(Schema.Finite)
          })
        )
      })
    )
  })
)

/** Writes a run to `file`, unless a suite failed: part of a run must not pass for all of it. Returns whether it did. */
export const record = (
  file: string,
  { figures, failures }: Measured,
  verdicts: ReadonlyArray<Verdict>
): boolean => {
  if (failures.length > 0) return false
  const host = {
    node: process.version,
    platform: process.platform,
    arch: process.arch,
    cores: availableParallelism()
  }
  writeFileSync(file, `${JSON.stringify({ host, budgets: verdicts, figures }, undefined, 2)}\n`)
  return true
}

/** The figures of a recorded run; throws if the file holds none. */
export const recorded = (file: string): ReadonlyArray<Figure> =>
  Schema.decodeUnknownSync(Recorded)(readFileSync(file, "utf8")).figures.map((figure) => ({
    ...figure,
    // JSON has no NaN.
    rounds: figure.rounds.map((value) => value ?? Number.NaN)
  }))
