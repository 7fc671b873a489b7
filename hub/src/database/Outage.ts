/** Logs a fault once when it begins and once when it is over, however often the work is tried meanwhile. */
import { Effect } from "effect"

/** What the log says. */
export interface OutageTexts {
  readonly begun: string
  readonly ended: string
  /** Default `Warn`. */
  readonly level?: "Warn" | "Error"
}

/**
 * One kind of fault, for example a database that cannot be reached.
 *
 * @example
 * ```ts
 * const outage = new Outage({ begun: "the queue could not be read", ended: "the queue can be read again" })
 * yield* read.pipe(Effect.tap(() => outage.over), Effect.catchCause(outage.log), Effect.forever)
 * ```
 */
export class Outage {
  readonly #texts: OutageTexts
  #isOn = false

  constructor(texts: OutageTexts) {
    this.#texts = texts
  }

  /** Logs the first failure. Further ones are logged on level debug until `over`. */
  readonly log = (failure: unknown): Effect.Effect<void> =>
    Effect.suspend(() => {
      const first = !this.#isOn
      this.#isOn = true
      const { begun, level = "Warn" } = this.#texts
      return Effect.logWithLevel(first ? level : "Debug")(begun, failure)
    })

  /** Call it when the work succeeds. Logs that the fault is over if there was one. */
  readonly over: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.#isOn) return Effect.void
    this.#isOn = false
    return Effect.logInfo(this.#texts.ended)
  })
}
