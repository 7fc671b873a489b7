/** From what a hub's author wrote to a policy that can be followed. */
import { Duration, Option, Result, Schema } from "effect"
import type { BreakerPolicy } from "../Plugin.ts"
import { problemsOf } from "../spec/problems.ts"
import { type breaker, Breaker } from "../spec/settings.ts"
import type { Given } from "../spec/values.ts"

/** What can be said about a breaker; what is left out has a default: 3 failures, 60 seconds. */
export interface BreakerOptions extends Given<typeof breaker, Duration.Input> {}

/** A breaker was asked for what it cannot do. A mistake in the program, so it arrives as a defect. */
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

/** `options` over `base`; throws `InvalidBreakerPolicy` rather than follow half a policy. */
export const makePolicy = (options: BreakerOptions, base: BreakerPolicy): BreakerPolicy => {
  const { failureThreshold = base.failureThreshold, cooldown = base.cooldown } = options
  // What is no duration fails below, as itself.
  const given = { failureThreshold, cooldown: Option.getOrElse(Duration.fromInput(cooldown), () => cooldown) }
  const policy = decode(given)
  if (Result.isSuccess(policy)) return { ...base, ...policy.success }
  const [{ path, problem } = { path: "", problem: "" }] = problemsOf(given, policy.failure.issue)
  throw new InvalidBreakerPolicy({ option: path, problem })
}
