/** The permission of an admitted run to count in its circuit, until the run's end is reported. */
import { Cause, Effect, Exit, Option } from "effect"
import { CircuitOpen, PluginTimeout } from "../Errors.ts"
import * as Circuit from "./Circuit.ts"
import type { Circuits, KnownCircuit } from "./Circuits.ts"

export interface Pass {
  /**
   * Whether the circuit is still as it was at admission, as far as this process knows. If not, the pass no longer
   * counts.
   */
  readonly isCurrent: () => boolean
  /** Call it once, when the run has ended, and run the effect that it returns, which counts the run. */
  readonly leave: (exit: Exit.Exit<unknown, unknown>, now: number) => Effect.Effect<void>
  /**
   * Call it at most once, if the isolate crashed after the run had returned and before the next run began: the
   * success counts as a failure. Changes nothing if it was no success.
   */
  readonly crashed: (now: number) => Effect.Effect<void>
}

/** How the end of a run counts. */
const countOf = (exit: Exit.Exit<unknown, unknown>): Circuit.Outcome => {
  if (Exit.isSuccess(exit)) return "success"
  if (Cause.hasInterruptsOnly(exit.cause)) return "ignored"
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isNone(error)) return "failure"
  // The first executed nothing. A pause of the host may have caused the second.
  const isIgnored =
    error.value instanceof CircuitOpen ||
    (error.value instanceof PluginTimeout && error.value.hostPaused !== undefined)
  return isIgnored ? "ignored" : "failure"
}

export class CircuitPass implements Pass {
  readonly #generation: number
  readonly #circuit: KnownCircuit
  readonly #circuits: Circuits
  /** The circuit's generation since this run was counted as a success. */
  #succeeded: number | undefined
  /** Whether its isolate crashed before the run's end was reported. */
  #isCrashed = false

  constructor(generation: number, circuit: KnownCircuit, circuits: Circuits) {
    this.#generation = generation
    this.#circuit = circuit
    this.#circuits = circuits
  }

  isCurrent(): boolean {
    return this.#circuit.generation === this.#generation
  }

  leave(exit: Exit.Exit<unknown, unknown>, now: number): Effect.Effect<void> {
    const count = countOf(exit)
    const outcome = count === "success" && this.#isCrashed ? "failure" : count
    const generation = this.#generation
    return this.#circuits.step(
      this.#circuit,
      now,
      (circuit, now) => {
        const isLate = circuit.generation !== generation
        const after = Circuit.record(circuit, generation, outcome, now)
        return [outcome === "success" && !isLate ? after.generation : undefined, after]
      },
      (succeeded) => {
        this.#succeeded = succeeded
      }
    )
  }

  crashed(now: number): Effect.Effect<void> {
    this.#isCrashed = true
    const generation = this.#succeeded
    if (generation === undefined) return Effect.void
    return this.#circuits.step(this.#circuit, now, (circuit, now) => [
      undefined,
      Circuit.crash(circuit, generation, now)
    ])
  }
}

/** For a run that was admitted while the store could not be reached. */
export const uncounted: Pass = {
  isCurrent: () => true,
  leave: () => Effect.void,
  crashed: () => Effect.void
}
