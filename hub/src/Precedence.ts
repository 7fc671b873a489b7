/**
 * Those who post go first: while they do, plugins are given a small share of the hub's time.
 *
 * **Details**: there is one thread for both, so a post waits for a small batch of jobs at most. The share is
 * counted in posts, not in time: it is as small on a slow machine. Jobs are never kept from going on, and
 * what has piled up is worked off as soon as the posts pause.
 */
import { Effect } from "effect"

/** Jobs of a batch that is begun between posts, and the posts it comes after. */
const batch = 8
const postsPerBatch = 24

/** Jobs of a batch while nobody posts: who comes meanwhile waits for it. */
const freeBatch = 48

/** A post that has come in by now is in the database some turns of the event loop later. */
const quietTurns = 4

const nextTurn: Effect.Effect<void> = Effect.callback((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** Waits for the hub to have time for plugins, and answers how many jobs may begin. */
export const turn = (posts: () => number): Effect.Effect<number> =>
  Effect.gen(function* () {
    const before = posts()
    for (let quiet = 0, seen = before; quiet < quietTurns; ) {
      yield* nextTurn
      const now = posts()
      if (now - before >= postsPerBatch) return batch
      quiet = now === seen ? quiet + 1 : 0
      seen = now
    }
    return freeBatch
  })
