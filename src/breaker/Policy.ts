/** From what a hub's author wrote to a policy that can be followed. */
import { Duration, Option, Schema } from "effect"
import type { BreakerPolicy } from "../Plugin.ts"

/** What can be said about a breaker; what is left out has a default. */
export interface BreakerOptions {
  /** Failures in a row that open the circuit: an integer of at least 1. Default 3. */
  readonly failureThreshold?: number
  /** How long it stays open before one probe may run: more than 0, finite. Default 60 seconds. */
  readonly cooldown?: Duration.Input
}

/** A breaker was asked for what it cannot do. A mistake in the program, so it arrives as a defect. */
export class InvalidBreakerPolicy extends Schema.TaggedError<InvalidBreakerPolicy>(
  "@agentlip/plugin-runtime/InvalidBreakerPolicy"
)("InvalidBreakerPolicy", {
  option: Schema.Literals(["failureThreshold", "cooldown"]),
  given: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `A circuit breaker's ${this.option} must be ${this.expected}, not ${this.given}.`
  }
}

export { defaultPolicy } from "../spec/settings.ts"

/** `options` over `base`; throws `InvalidBreakerPolicy` rather than follow half a policy. */
export const makePolicy = (options: BreakerOptions, base: BreakerPolicy): BreakerPolicy => {
  const { failureThreshold = base.failureThreshold, cooldown = base.cooldown } = options
  if (!Number.isSafeInteger(failureThreshold) || failureThreshold < 1) {
    throw new InvalidBreakerPolicy({
      option: "failureThreshold",
      given: String(failureThreshold),
      expected: "an integer of at least 1"
    })
  }
  const duration = Duration.fromInput(cooldown)
  if (Option.isNone(duration) || !Duration.isFinite(duration.value) || !Duration.isPositive(duration.value)) {
    throw new InvalidBreakerPolicy({
      option: "cooldown",
      given: String(cooldown),
      expected: "a finite duration longer than 0"
    })
  }
  return { failureThreshold, cooldown: duration.value }
}
