/** Makes a valid policy from the options of a hub's author. */
import { Duration, Option, Result, Schema } from "effect"
import type { BreakerPolicy } from "../Plugin.ts"
import { problemsOf } from "../spec/problems.ts"
import { type breaker, Breaker } from "../spec/settings.ts"
import type { Given } from "../spec/values.ts"

/** The options of a breaker. Defaults: 3 failures, 60 seconds. */
export interface BreakerOptions extends Given<typeof breaker, Duration.Input> {}

/** The options of a breaker are invalid. This is a mistake in the program, so it is a defect. */
export class InvalidBreakerPolicy extends Schema.TaggedError<InvalidBreakerPolicy>(
  "@agentlip/plugin-runtime/InvalidBreakerPolicy"
)("InvalidBreakerPolicy", {
  /** `failureThreshold` or `cooldown`. */
  option: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `A circuit breaker's ${this.option}: ${this.problem}.`
  }
}

export { defaultPolicy } from "../spec/settings.ts"

const decode = Schema.decodeUnknownResult(Schema.toType(Breaker))

/** Applies `options` over `base`. Throws `InvalidBreakerPolicy` if one of them is invalid. */
export const makePolicy = (options: BreakerOptions, base: BreakerPolicy): BreakerPolicy => {
  const { failureThreshold = base.failureThreshold, cooldown = base.cooldown } = options
  // A value that is no duration fails below, with its own problem.
  const given = { failureThreshold, cooldown: Option.getOrElse(Duration.fromInput(cooldown), () => cooldown) }
  const policy = decode(given)
  if (Result.isSuccess(policy)) return { ...base, ...policy.success }
  const [{ path, problem } = { path: "", problem: "" }] = problemsOf(given, policy.failure.issue)
  throw new InvalidBreakerPolicy({ option: path, problem })
}
