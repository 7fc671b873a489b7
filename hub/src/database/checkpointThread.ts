/**
 * A thread that moves pages from the log of a SQLite file into the file. Checkpoints.ts starts it, and sends a message
 * when there may be enough pages.
 */
import { DatabaseSync } from "node:sqlite"
import { parentPort, workerData } from "node:worker_threads"

/** Pages that are worth a checkpoint. */
const enough = 1_000

const db = new DatabaseSync(String(workerData), { timeout: 0 })
db.exec("PRAGMA synchronous = NORMAL")
// SQLite before 3.51 does not know NOOP and makes a checkpoint at once, which is only more often than needed.
const progress = db.prepare("PRAGMA wal_checkpoint(NOOP)")
const checkpoint = db.prepare("PRAGMA wal_checkpoint(PASSIVE)")

parentPort?.on("message", () => {
  try {
    const { log, checkpointed } = progress.get() ?? {}
    if (Number(log) - Number(checkpointed) >= enough) checkpoint.get()
  } catch {
    // Another connection has the file to itself. There will be a next message.
  }
})
