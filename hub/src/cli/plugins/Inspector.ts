/** Opens Node's inspector in this process, to debug a plugin in one of its threads. */
import { Console, Effect } from "effect"
import * as inspector from "node:inspector"
import { invalid } from "../flags/SpecFlags.ts"

/**
 * The process is blocked while it waits, so its own listeners would make Ctrl-C ineffective. Removes them meanwhile.
 */
const withDefaultSignals = (wait: () => void): void => {
  const signals = ["SIGINT", "SIGTERM"] as const
  const kept = signals.map((signal) => ({ signal, listeners: process.listeners(signal) }))
  for (const { signal } of kept) process.removeAllListeners(signal)
  wait()
  for (const { signal, listeners } of kept) for (const listener of listeners) process.on(signal, listener)
}

/**
 * Listens on 127.0.0.1 only and waits for a debugger, which then sees every thread that starts. Node prints the
 * address to stderr. The process is blocked while it waits, and Ctrl-C ends it.
 */
export const waitForDebugger = (port: number) =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      yield* Effect.try({
        try: () => inspector.open(port, "127.0.0.1"),
        catch: (error) => invalid(`The inspector cannot be opened: ${String(error)}`)
      })
      // If the port is taken, Node only prints a message.
      if (inspector.url() === undefined)
        return yield* invalid(
          `The inspector cannot listen on 127.0.0.1:${port}; take another port with --inspect-port`
        )
      yield* Console.error(
        "Waiting for a debugger: open chrome://inspect in Chrome, or attach VS Code to that port. A `debugger` statement in the plugin stops it. There is no timeout."
      )
    }),
    () => Effect.sync(() => inspector.close())
  ).pipe(Effect.andThen(Effect.sync(() => withDefaultSignals(() => inspector.waitForDebugger()))))
