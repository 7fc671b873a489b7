/**
 * Moves the log of a SQLite file into the file, on a thread of its own. A checkpoint waits for the disk, and would block
 * the event loop.
 *
 * **Details**
 *
 * - A checkpoint of the thread never blocks a writer. SQLite reuses the log when all of it has been moved. If the
 *   writer is too busy for that, or the thread has failed, the writer makes a checkpoint itself: see
 *   `wal_autocheckpoint` in Sqlite.ts.
 * - The thread starts with the first message, so a hub that writes little has none.
 */
import { Effect, type Scope } from "effect"
import { Worker } from "node:worker_threads"

/** Transactions between two messages to the thread. */
const transactions = 64

const file = new URL(`./checkpointThread.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)

const start = (filename: string): Worker => {
  const thread = new Worker(file, {
    name: "agentlip-checkpoints",
    execArgv: ["--no-warnings"],
    workerData: filename,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 }
  })
  thread.unref()
  thread.on("error", () => {})
  return thread
}

/** Returns a function to call after each commit. The thread ends with the scope. */
export const make = (filename: string): Effect.Effect<() => void, never, Scope.Scope> => {
  let thread: Worker | undefined
  let count = 0
  const committed = (): void => {
    if (++count % transactions !== 0) return
    thread ??= start(filename)
    thread.postMessage("committed")
  }
  return Effect.acquireRelease(Effect.succeed(committed), () =>
    Effect.promise(async () => thread?.terminate())
  )
}
