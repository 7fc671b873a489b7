/** The time as the protocol writes it. */
import { Clock, Effect } from "effect"

/**
 * Now, as the protocol writes it: ISO 8601 in UTC with milliseconds. It is what the clock says, also where the clock
 * was set back: what came first is told by `event_id` and by ids, never by times.
 */
export const timestamp: Effect.Effect<string> = Effect.map(Clock.currentTimeMillis, (millis) =>
  new Date(millis).toISOString()
)
