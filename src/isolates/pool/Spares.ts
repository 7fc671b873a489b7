/** Isolates booted ahead, so that callers do not wait for a boot. Their number grows with demand. */
import { Clock, Deferred, Duration, Effect, Exit, type Scope } from "effect"
import type { Isolate } from "../isolate/Isolate.ts"
import type { Death } from "../isolate/Transport.ts"

export interface Spares<A = Isolate, E = Death> {
  /**
   * Takes a booted isolate without a plugin. The taker ends it, and calls `fill` when its run is over. Only waits can be
   * interrupted, so an uninterruptible taker loses no isolate.
   */
  readonly take: Effect.Effect<A, E>
  /** Boots missing spares in the background. Not to be called during the run that took one: it needs the core. */
  readonly fill: Effect.Effect<void>
  /** Ends spares that are no longer in demand; to be called regularly. */
  readonly sweep: Effect.Effect<void>
  /** How many are kept ready now. */
  readonly wanted: () => number
}

export interface SparesOptions<A, E> {
  /** How many are kept at least. */
  readonly least: number
  /** Must clean up if it fails. */
  readonly boot: Effect.Effect<A, E>
  /** Ends a spare that is no longer usable or needed. */
  readonly end: (spare: A) => Effect.Effect<unknown>
  /** Of boots in the background. */
  readonly scope: Scope.Scope
  /** How many are kept at most. Default `least`. */
  readonly most?: number
  /** Concurrent boots in the background. Default `least`. */
  readonly boots?: number
  /** Waits until a boot in the background may begin. Default: no wait. */
  readonly room?: Effect.Effect<void>
  /** After this time without a caller that found no spare, one spare fewer is kept. Default never. */
  readonly quiet?: Duration.Duration
}

/** The caller's next steps, in the current turn of the event loop, come first. */
const nextTurn = Effect.callback<void>((resume) => {
  const turn = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(turn))
})

/**
 * Keeps `least` spares. Each caller that finds none raises the number by one, up to `most`. It falls back to `least` when
 * no spares are taken.
 */
export const makeSpares = <A extends { readonly usable: boolean }, E>({
  least,
  boot,
  end,
  scope,
  most = least,
  boots = least,
  room = Effect.void,
  quiet = Duration.infinity
}: SparesOptions<A, E>): Spares<A, E> => {
  const ready: Array<A> = []
  /** Callers that wait for a boot in progress. */
  const waiting = new Set<Deferred.Deferred<void>>()
  let booting = 0
  /** Fibers that boot in the background, or wait for room. */
  let fillers = 0
  let filled = false
  let wanted = Math.min(least, most)
  let taken = Number.NEGATIVE_INFINITY
  let missed = Number.NEGATIVE_INFINITY

  const booted = (exit: Exit.Exit<A, E>): void => {
    booting--
    // No retry after a failed boot: the next caller boots for itself and gets the reason.
    if (Exit.isSuccess(exit)) ready.push(exit.value)
    for (const waiter of waiting) {
      waiting.delete(waiter)
      Deferred.doneUnsafe(waiter, Effect.void)
      if (Exit.isSuccess(exit)) break
    }
  }

  const isMissing = (): boolean => wanted > ready.length + booting - waiting.size

  /** Boots one after another. A boot that waits for room has not begun: no caller waits for it. */
  const fillUp: Effect.Effect<void> = Effect.suspend(() => {
    if (isMissing()) return Effect.andThen(room, bootOne)
    fillers--
    return Effect.void
  })
  const bootOne: Effect.Effect<void> = Effect.suspend(() => {
    if (!isMissing()) return fillUp
    booting++
    return boot.pipe(
      Effect.onExit((exit) => Effect.sync(() => booted(exit))),
      Effect.matchEffect({ onFailure: () => Effect.sync(() => fillers--), onSuccess: () => fillUp })
    )
  })

  const fill = Effect.suspend(() => {
    filled = true
    if (fillers >= boots || !isMissing()) return Effect.void
    const more = boots - fillers
    fillers = boots
    const begin = Effect.forkIn(fillUp, scope, { startImmediately: true })
    return Effect.asVoid(
      Effect.forkIn(Effect.andThen(nextTurn, Effect.replicateEffect(begin, more, { discard: true })), scope)
    )
  })

  /** Waits for a boot in progress: it is ready before a new one would be. */
  const wait = Effect.suspend(() => {
    const waiter = Deferred.makeUnsafe<void>()
    waiting.add(waiter)
    return Effect.ensuring(
      // Nothing is taken yet, so an uninterruptible taker can stop here too.
      Effect.interruptible(Deferred.await(waiter)),
      Effect.sync(() => waiting.delete(waiter))
    )
  })

  const take = (failures: number): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const spare = ready.shift()
      if (spare !== undefined) {
        return spare.usable ? Effect.succeed(spare) : Effect.andThen(end(spare), take(failures))
      }
      // A caller that waited in vain boots for itself.
      return failures === 0 && booting > waiting.size ? Effect.andThen(wait, take(1)) : boot
    })

  return {
    take: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      taken = now
      if (ready.length === 0) {
        missed = now
        // The first caller finds none because no spare was wanted yet.
        wanted = Math.min(most, filled ? Math.max(wanted, least) + 1 : Math.max(wanted, 1))
      }
      return take(0)
    }),
    fill,
    sweep: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const isOld = (time: number): boolean => now - time >= Duration.toMillis(quiet)
      if (isOld(taken)) wanted = Math.min(least, most)
      else if (isOld(missed)) wanted = Math.min(most, Math.max(wanted - 1, least, 1))
      const surplus = ready.splice(Math.max(0, wanted))
      return Effect.forEach(surplus, end, { discard: true })
    }),
    wanted: () => wanted
  }
}
