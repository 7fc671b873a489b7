/** Opens Node's inspector in this process, so that a plugin in a thread of it can be debugged. */
import { Console, Effect } from "effect"
import * as inspector from "node:inspector"
import { invalid } from "../flags/SpecFlags.ts"

/** While nothing of this process runs, its own listeners would keep Ctrl-C from ending it. */
const withDefaultSignals = (wait: () => void): void => {
  const signals = ["SIGINT", "SIGTERM"] as const
  const kept = signals.map((signal) => ({ signal, listeners: process.listeners(signal) }))
  for (const { signal } of kept) process.removeAllListeners(signal)
  wait()
  for (const { signal, listeners } of kept) for (const listener of listeners) process.on(signal, listener)
}

/**
 * Listens on 127.0.0.1 alone and waits until a debugger has come: it is told of every thread that starts from then on.
 * Node itself writes the address to stderr. While it waits the process does nothing else, and Ctrl-C ends it.
 */
export const waitForDebugger = (port: number) =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      yield* Effect.try({
        try: () => inspector.open(port, "127.0.0.1"),
        catch: (error) => invalid(`The inspector cannot be opened: ${String(error)}`)
      })
      // A port that is taken is said on stderr alone.
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
