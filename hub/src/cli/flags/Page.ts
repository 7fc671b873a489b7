/** Flags of commands that list pages. */
import { Flag } from "effect/cli"

export const limitFlag = (initial: number, what = "How many to list") =>
  Flag.Int("limit").pipe(
    Flag.withAlias("n"),
    Flag.withMetavar("N"),
    Flag.withDescription(`${what}, 1 to 1000. Default: ${initial}`),
    Flag.withDefault(initial)
  )
