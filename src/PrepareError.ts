/**
 * How preparing fails. Each step that prepares a level or a plugin on this host (grants, capabilities, sandbox, modules)
 * is an Effect that succeeds with what it found or fails with a `PrepareError`. For callers it becomes a `LOAD_ERROR`.
 */
import { Data, Effect } from "effect"

export class PrepareError extends Data.TaggedError("PrepareError")<{
  /** What is wrong and what to do. */
  readonly reason: string
  /** Whether the runtime was closed: not the plugin's fault. */
  readonly isClosed?: boolean
}> {}

/** Fails with a reason. */
export const unprepared = (reason: string): Effect.Effect<never, PrepareError> =>
  Effect.fail(new PrepareError({ reason }))

/** Fails with all reasons at once, if there are any. */
export const unpreparedIf = (reasons: ReadonlyArray<string>): Effect.Effect<void, PrepareError> =>
  reasons.length === 0 ? Effect.void : unprepared(reasons.join("; "))
