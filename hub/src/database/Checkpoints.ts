/**
 * Moves the log of a SQLite file into the file, on a thread of its own. A checkpoint waits for the disk, and would block
 * the event loop.
 *
 * **Details**
 *
 * - A checkpoint of the thread never blocks a writer. SQLite reuses the log when all of it has been moved. If the
 *   writer is too busy for that, or the thread has failed, the writer makes a checkpoint itself: see
 *   `wal_autocheckpoint` in Sqlite.ts.
 * - The thread starts with the first message, so a hub that writes little has none. If it fails, the log says so once,
 *   and it is not started again.
 */
import { Deferred, Effect } from "effect"
import { Worker } from "node:worker_threads"

/** Transactions between two messages to the thread. */
const transactions = 64

const file = new URL(`./checkpointThread.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)

const start = (filename: string, failed: (cause: unknown) => void): Worker => {
  const thread = new Worker(file, {
    name: "agentlip-checkpoints",
    execArgv: ["--no-warnings"],
    workerData: filename,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 }
  })
  thread.unref()
  thread.on("error", failed)
  return thread
}

/** Returns a function to call after each commit. The thread ends with the scope. */
export const make = Effect.fnUntraced(function* (filename: string) {
  const failure = yield* Deferred.make<unknown>()
  yield* Deferred.await(failure).pipe(
    Effect.flatMap((cause) =>
      Effect.logWarning(
        "the thread that makes SQLite's checkpoints has failed: until the next start, the hub makes them itself, and requests wait meanwhile",
        cause
      )
    ),
    Effect.forkScoped
  )
  let thread: Worker | undefined
  let count = 0
  const committed = (): void => {
    if (++count % transactions !== 0) return
    thread ??= start(filename, (cause) => Deferred.doneUnsafe(failure, Effect.succeed(cause)))
    thread.postMessage("committed")
  }
  yield* Effect.addFinalizer(() => Effect.promise(async () => thread?.terminate()))
  return committed
})
