/** Flags of commands that list pages. */
import { Flag } from "effect/cli"

export const limitFlag = (initial: number, what = "How many to list") =>
  Flag.Int("limit").pipe(
    Flag.withAlias("n"),
    Flag.withMetavar("N"),
    Flag.withDescription(`${what}. Default: ${initial}`),
    Flag.filter(
      (limit) => limit >= 1,
      (limit) => `Expected 1 or more, got ${limit}`
    ),
    Flag.withDefault(initial)
  )
