/** Effects that are already done. */
import { Effect, Exit } from "effect"

/** The exit of an effect that is already done; it needs no fiber. */
export const exitOf = <A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> | undefined =>
  // The guard's type loses the types of the effect.
  Exit.isExit(effect) ? (effect as Exit.Exit<A, E>) : undefined

/** What an effect has already succeeded with. */
export const successOf = <A, E>(effect: Effect.Effect<A, E>): { readonly value: A } | undefined => {
  const exit = exitOf(effect)
  return exit !== undefined && Exit.isSuccess(exit) ? exit : undefined
}

/** Like `Effect.flatMap`, but calls `next` at once if the effect has already succeeded: each step of a fiber costs. */
export const flatMapNow = <A, E, B, E2>(
  effect: Effect.Effect<A, E>,
  next: (value: A) => Effect.Effect<B, E2>
): Effect.Effect<B, E | E2> => {
  const done = successOf(effect)
  return done === undefined ? Effect.flatMap(effect, next) : next(done.value)
}
