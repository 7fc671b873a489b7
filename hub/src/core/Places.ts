/** Places of clients that follow events. Clients without the hub's token get at most half, so that they cannot take all. */
import { Effect, type Scope, Semaphore } from "effect"
import { listening } from "./HubMetrics.ts"

export interface Places {
  /** Takes a place until the scope closes. Returns `false` if none is left for such a client, or after `close`. */
  readonly admit: (hasToken: boolean) => Effect.Effect<boolean, never, Scope.Scope>
  /** Admits no more clients. Returns when all places are free. */
  readonly close: Effect.Effect<void>
}

/** Takes one permit from every semaphore, or none at all. */
const takeAll = (needed: ReadonlyArray<Semaphore.Semaphore>): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    const [first, ...others] = needed
    if (first === undefined) return true
    if (!(yield* first.takeIfAvailable(1))) return false
    if (yield* takeAll(others)) return true
    yield* first.release(1)
    return false
  })

export const makePlaces = Effect.fn(function* (count: number): Effect.fn.Return<Places> {
  const all = yield* Semaphore.make(count)
  const withoutToken = yield* Semaphore.make(Math.ceil(count / 2))
  let isClosed = false
  let taken = 0
  const counted = (change: number) =>
    Effect.suspend(() => {
      taken += change
      return listening(taken)
    })
  return {
    admit: (hasToken) => {
      const needed = hasToken ? [all] : [withoutToken, all]
      return Effect.acquireRelease(
        Effect.gen(function* () {
          if (isClosed || !(yield* takeAll(needed))) return false
          yield* counted(1)
          return true
        }),
        (admitted) =>
          admitted
            ? Effect.andThen(
                Effect.forEach(needed, (place) => place.release(1), { discard: true }),
                counted(-1)
              )
            : Effect.void
      )
    },
    close: Effect.suspend(() => {
      isClosed = true
      return Effect.asVoid(all.take(count))
    })
  }
})
