/** How a service starts an effect that has no caller to wait for it. */
import type { Effect, Fiber } from "effect"

/** Starts an effect at once. Its owner interrupts the fiber when it closes. */
export type Fork = (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>
