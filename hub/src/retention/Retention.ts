/** Prunes once an hour, as the config file says. */
import type { RetentionOptions } from "@agentlip/plugin-runtime"
import { Clock, Duration, Effect, Layer, Schedule } from "effect"
import { type Bounds, Pruning } from "./Pruning.ts"

const every = Duration.hours(1)

/** The bounds that hold now. */
export const boundsOf = ({ olderThan, keepEvents }: RetentionOptions, now: number): Bounds => ({
  before: olderThan === undefined ? undefined : now - Duration.toMillis(olderThan),
  keepEvents
})

/** Begins with the hub and ends with its scope. A prune that fails is logged, and the next hour has another. */
export const layer = (options: RetentionOptions): Layer.Layer<never, never, Pruning> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const pruning = yield* Pruning
      yield* Effect.gen(function* () {
        yield* pruning.begin(boundsOf(options, yield* Clock.currentTimeMillis))
        yield* pruning.ended
        const prune = yield* pruning.current
        if (prune === undefined || Object.values(prune.removed).every((count) => count === 0)) return
        yield* Effect.logInfo("retention: removed what is old", prune.removed)
      }).pipe(Effect.repeat(Schedule.spaced(every)), Effect.forkScoped)
    })
  )
