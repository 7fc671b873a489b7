/** The current time in the format of the protocol. */
import { Clock, Effect } from "effect"

/**
 * The current time as ISO 8601 in UTC with milliseconds. It follows the clock even if the clock was set back. For the
 * order of events use `event_id` and ids, never times.
 */
export const timestamp: Effect.Effect<string> = Effect.map(Clock.currentTimeMillis, (millis) =>
  new Date(millis).toISOString()
)
