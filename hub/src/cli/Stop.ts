/**
 * Signal handling: the first signal stops the command cleanly. A second one, or ten seconds, ends the process at once.
 */
import { Effect, Runtime } from "effect"

const patience = 10_000

/** The exit code that shells use for SIGINT. */
const interrupted = 130

let endsWell = false
let isStoppable = true

/** Makes an interrupted command exit with 0. For commands that run until they are stopped. */
export const isServing = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.onInterrupt(self, () =>
    Effect.sync(() => {
      endsWell = true
    })
  )

/**
 * Ignores signals from now on until the process ends. For a command whose last step cannot be stopped: the result of that
 * step decides what is printed, and the exit code.
 */
export const ignoreSignals: Effect.Effect<void> = Effect.sync(() => {
  isStoppable = false
})

/** Runs the effect of this process, and ends the process with its exit code. */
export const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  let signals = 0
  const stop = (): void => {
    if (!isStoppable) return
    if (++signals > 1) process.exit(interrupted)
    setTimeout(() => {
      process.stderr.write("agentlip: the stop took longer than 10 seconds; what was left is given up\n")
      process.exit(1)
    }, patience).unref()
    fiber.interruptUnsafe(fiber.id)
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
  // The terminal was closed. Stop cleanly; by default Node would exit at once.
  process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
  fiber.addObserver((exit) =>
    teardown(exit, (code) => {
      if (signals > 0 || code !== 0) process.exit(endsWell && code === interrupted ? 0 : code)
    })
  )
})
