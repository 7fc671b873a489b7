/** Effects that have nothing left to do. */
import { type Effect, Exit } from "effect"

/** The exit that an effect already is, so that no fiber has to find out. */
export const exitOf = <A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> | undefined =>
  // An exit that is such an effect is the exit of that effect: the guard's type does not say so.
  Exit.isExit(effect) ? (effect as Exit.Exit<A, E>) : undefined

/** What an effect has already succeeded with. */
export const successOf = <A, E>(effect: Effect.Effect<A, E>): { readonly value: A } | undefined => {
  const exit = exitOf(effect)
  return exit !== undefined && Exit.isSuccess(exit) ? exit : undefined
}
