/** Boots an isolate of any level. */
import { Effect, Exit } from "effect"
import type { Fork } from "../../Fork.ts"
import { Isolate } from "../isolate/Isolate.ts"
import type { Death, Transport, TransportEvents } from "../isolate/Transport.ts"
import { timeoutAwake } from "../watch/HostPauses.ts"

/** Milliseconds that an isolate has to say hello. */
const bootTimeout = 10_000

export interface BootIsolateOptions {
  readonly start: (events: TransportEvents) => Transport
  /** What it starts, for the texts of errors. */
  readonly what: string
  /** Starts effects that end when the level closes. */
  readonly fork: Fork
  /** Milliseconds. Default 10,000. */
  readonly timeout?: number
}

/** Starts an isolate and waits for its hello. If it fails, it leaves nothing running. */
export const bootIsolate = ({
  start,
  what,
  fork,
  timeout = bootTimeout
}: BootIsolateOptions): Effect.Effect<Isolate, Death> =>
  Effect.try({
    try: () => new Isolate(start, fork),
    catch: (error): Death => ({ reason: `its ${what} could not be started (${String(error)})` })
  }).pipe(
    Effect.tap((isolate) =>
      isolate.booted.pipe(
        timeoutAwake(timeout, () =>
          Effect.fail<Death>({ reason: `its ${what} did not boot within ${timeout / 1000} seconds` })
        ),
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : isolate.kill))
      )
    )
  )
