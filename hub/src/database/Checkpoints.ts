/**
 * Moves the log of a SQLite file into the file, on a thread of its own. A checkpoint waits for the disk, and would block
 * the event loop.
 *
 * **Details**
 *
 * - A checkpoint of the thread never blocks a writer. SQLite reuses the log when all of it has been moved. If the
 *   writer is too busy for that, or the thread has failed, the writer makes a checkpoint itself: see
 *   `wal_autocheckpoint` in Sqlite.ts.
 * - The thread starts with the first message, so a hub that writes little has none. If it fails, for example because the
 *   disk is full, it is started again later. The log says once that it has failed, and once that it works again.
 * - The thread opens the file by its path, and fails if another file is there than the one that is open. It also fails on
 *   a file system that gives files new numbers: SQLite tells files apart by their numbers, and loses the hub's locks when
 *   it closes a file that it takes for another one.
 */
import { Effect, FiberSet } from "effect"
import { Worker } from "node:worker_threads"
import { type Identity, identityOf } from "./identityOf.ts"
import { Outage } from "./Outage.ts"

/** Transactions between two messages to the thread. */
const transactions = 64

const file = new URL(`./checkpointThread.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)

/** A thread that has failed is not started again for this long: a start costs more than it brings while it must fail. */
const rest = "1 minute"

const start = (
  workerData: { readonly filename: string; readonly opened: Identity | undefined },
  on: { readonly moved: () => void; readonly failed: (cause: unknown) => void }
): Worker => {
  const thread = new Worker(file, {
    name: "agentlip-checkpoints",
    execArgv: ["--no-warnings"],
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 }
  })
  thread.unref()
  thread.on("message", on.moved)
  thread.on("error", on.failed)
  return thread
}

/** Call it when the file was just opened. Returns a function to call after each commit. The thread ends with the scope. */
export const make = Effect.fnUntraced(function* (filename: string) {
  const opened = identityOf(filename)
  const run = yield* FiberSet.makeRuntime()
  const outage = new Outage({
    begun:
      "the thread that makes SQLite's checkpoints has failed: until it is started again, a minute later at the earliest, the hub makes them itself, and requests wait meanwhile",
    ended: "the thread that makes SQLite's checkpoints works again"
  })
  let thread: Worker | undefined
  let isResting = false
  const moved = (): void => void run(outage.over)
  const failed = (cause: unknown): void => {
    thread = undefined
    isResting = true
    run(
      Effect.gen(function* () {
        yield* outage.log(cause)
        yield* Effect.sleep(rest)
        isResting = false
      })
    )
  }
  let count = 0
  const committed = (): void => {
    if (++count % transactions !== 0 || isResting) return
    try {
      thread ??= start({ filename, opened }, { moved, failed })
      thread.postMessage("committed")
    } catch (cause) {
      // The system has no thread to give. The transaction is committed all the same.
      failed(cause)
    }
  }
  yield* Effect.addFinalizer(() => Effect.promise(async () => thread?.terminate()))
  return committed
})
