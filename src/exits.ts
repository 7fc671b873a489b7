/** Effects that have nothing left to do. */
import { Effect, Exit } from "effect"

/** The exit that an effect already is, so that no fiber has to find out. */
export const exitOf = <A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> | undefined =>
  // An exit that is such an effect is the exit of that effect: the guard's type does not say so.
  Exit.isExit(effect) ? (effect as Exit.Exit<A, E>) : undefined

/** What an effect has already succeeded with. */
export const successOf = <A, E>(effect: Effect.Effect<A, E>): { readonly value: A } | undefined => {
  const exit = exitOf(effect)
  return exit !== undefined && Exit.isSuccess(exit) ? exit : undefined
}

/** As `Effect.flatMap`, but calls `next` at once if the effect has already succeeded: each step of a fiber costs. */
export const flatMapNow = <A, E, B, E2>(
  effect: Effect.Effect<A, E>,
  next: (value: A) => Effect.Effect<B, E2>
): Effect.Effect<B, E | E2> => {
  const done = successOf(effect)
  return done === undefined ? Effect.flatMap(effect, next) : next(done.value)
}
