/** What signals mean: the first ends the command in order, a second one, or ten seconds, whatever is left of it. */
import { Effect, Runtime } from "effect"

const patience = 10_000

/** As shells say of a process that SIGINT ended. */
const interrupted = 130

let endsWell = false

/** Makes being stopped a good end of the command, as it is for what runs until then. */
export const isServing = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.onInterrupt(self, () =>
    Effect.sync(() => {
      endsWell = true
    })
  )

export const teardown: Runtime.Teardown = (exit, onExit) =>
  Runtime.defaultTeardown(exit, (code) => onExit(endsWell && code === interrupted ? 0 : code))

/** To be called once, where the process begins. */
export const watchSignals = (): void => {
  let signals = 0
  const stop = (): void => {
    if (++signals > 1) process.exit(interrupted)
    setTimeout(() => {
      process.stderr.write("agentlip: the stop took longer than 10 seconds; what was left is given up\n")
      process.exit(1)
    }, patience).unref()
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
  // A terminal that closes; by default that would end the process with nothing put away.
  process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
}
