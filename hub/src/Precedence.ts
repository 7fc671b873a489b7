/**
 * Those who post go first: while they do, plugins are given a small share of the hub's time.
 *
 * **Details**: there is one thread for both. A post is never kept waiting by more than one small batch of
 * jobs, and jobs are never kept from going on: what has piled up is worked off once the posts pause.
 */
import { Clock, Effect } from "effect"

/** Posts that come faster than this keep the hub busy; in gaps longer than this it has time for plugins. */
const quietMillis = 2
/** A batch begins after so long whatever is posted. */
const patienceMillis = 12
/** Jobs of a batch that does not wait for a gap. */
const batch = 8

/** Waits for the hub to have time for plugins, and answers how many jobs may begin. */
export const turn = (lastPost: () => number): Effect.Effect<number> =>
  Effect.gen(function* () {
    const begin = yield* Clock.currentTimeMillis
    for (let now = begin; ; now = yield* Clock.currentTimeMillis) {
      if (now - lastPost() >= quietMillis) return Number.POSITIVE_INFINITY
      if (now - begin >= patienceMillis) return batch
      yield* Effect.sleep(1)
    }
  })
