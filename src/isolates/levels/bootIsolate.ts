/** Boots an isolate of any level. */
import { Effect, Exit } from "effect"
import { Isolate } from "../isolate/Isolate.ts"
import type { Death, Transport, TransportEvents } from "../isolate/Transport.ts"
import { timeoutAwake } from "../watch/HostPauses.ts"

/** Milliseconds that an isolate has to say hello. */
export const bootTimeout = 10_000

/** Starts an isolate and waits for its hello; fails with the reason, and leaves nothing running then. */
export const bootIsolate = (
  start: (events: TransportEvents) => Transport,
  what: string,
  timeout = bootTimeout
): Effect.Effect<Isolate, Death> =>
  Effect.try({
    try: () => new Isolate(start),
    catch: (error): Death => ({ reason: `its ${what} could not be started (${String(error)})` })
  }).pipe(
    Effect.tap((isolate) =>
      isolate.booted.pipe(
        timeoutAwake(timeout, () =>
          Effect.fail<Death>({ reason: `its ${what} did not boot within ${bootTimeout / 1000} seconds` })
        ),
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : isolate.kill))
      )
    )
  )
