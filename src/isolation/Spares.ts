/** Isolates booted ahead, so that a boot is off the caller's path. */
import { Effect, Exit, Scope } from "effect"
import type { Isolate } from "./Isolate.ts"
import type { Death } from "./Transport.ts"

export interface Spares {
  /** A booted isolate without a plugin; the taker ends it, and fills up when its run is over. */
  readonly take: Effect.Effect<Isolate, Death>
  /** Boots what is missing in the background; not beside the run that took one, which needs the core itself. */
  readonly fill: Effect.Effect<void>
}

/** Keeps up to `size` spares in `scope`; `boot` must clean up after itself when it fails. */
export const makeSpares = (
  size: number,
  boot: Effect.Effect<Isolate, Death>,
  /** Ends a spare that is of no use any more. */
  end: (spare: Isolate) => Effect.Effect<unknown>,
  scope: Scope.Scope
): Spares => {
  const ready: Array<Isolate> = []
  let booting = 0

  const bootOne = Effect.suspend(() => {
    booting++
    return boot.pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          booting--
          // A failed boot is not repeated from here: the next caller boots for itself and gets the reason.
          if (Exit.isSuccess(exit)) ready.push(exit.value)
        })
      ),
      Effect.exit,
      Effect.forkIn(scope)
    )
  })

  const fill = Effect.suspend(() => {
    const missing = size - ready.length - booting
    return missing <= 0 ? Effect.void : Effect.replicateEffect(bootOne, missing, { discard: true })
  })

  const take: Spares["take"] = Effect.suspend(() => {
    const spare = ready.shift()
    if (spare === undefined) return boot
    return spare.usable ? Effect.succeed(spare) : Effect.andThen(end(spare), take)
  })

  return { take, fill }
}
