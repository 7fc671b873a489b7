/**
 * Signal handling: the first signal stops the command cleanly. A second one, or ten seconds, ends the process at once.
 */
import { Effect, Runtime } from "effect"

const patience = 10_000

/** The exit code that shells use for SIGINT. */
const interrupted = 130

let endsWell = false

/** Makes an interrupted command exit with 0. For commands that run until they are stopped. */
export const isServing = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.onInterrupt(self, () =>
    Effect.sync(() => {
      endsWell = true
    })
  )

export const teardown: Runtime.Teardown = (exit, onExit) =>
  Runtime.defaultTeardown(exit, (code) => onExit(endsWell && code === interrupted ? 0 : code))

/** Call it once, when the process starts. */
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
  // The terminal was closed. Stop cleanly; by default Node would exit at once.
  process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
}
