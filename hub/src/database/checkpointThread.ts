/**
 * A thread that moves pages from the log of a SQLite file into the file. Checkpoints.ts starts it, and sends a message
 * when there may be enough pages. The thread sends one back when it has moved them, and ends if it cannot.
 */
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { parentPort, workerData } from "node:worker_threads"
import { type Fate, fateOf, type Identity, identityOf } from "./identityOf.ts"

/** SQLITE_BUSY or SQLITE_LOCKED. The upper bits of an extended code only add detail. */
const isLocked = (cause: unknown): boolean =>
  cause instanceof Error && "errcode" in cause && [5, 6].includes(Number(cause.errcode) & 0xff)

/** Pages that are worth a checkpoint. */
const enough = 1_000

const { filename, opened }: { readonly filename: string; readonly opened: Identity | undefined } = workerData

const putBack =
  "put the hub's file back; to use another one, stop the hub, then run agentlip restore FILE with the other one"
const useLocalDisk = "use a local disk: a thread cannot open the file safely there"

const problems: { readonly [fate in Exclude<Fate, "same">]: string } = {
  replaced: `is not the file that the hub has open, because it was moved or replaced meanwhile: ${putBack}`,
  renumbered: `is on a file system that gives files new numbers: ${useLocalDisk}`,
  unclear: `has another number than the file that the hub has open. If it was replaced, ${putBack}. If its file system gives files new numbers, ${useLocalDisk}`
}

/**
 * The log beside the file is that of the file the hub has open. SQLite would move its pages into any other file in that
 * place.
 */
const requireSame = (): void => {
  const fate = fateOf(opened, identityOf(filename))
  if (fate !== "same") throw new Error(`${filename} ${problems[fate]}`)
}

const url = pathToFileURL(filename)
// If the file is gone, fail: SQLite would create an empty one and delete the log beside it.
url.search = "?mode=rw"
const db = new DatabaseSync(url, { open: false, timeout: 0 })

const prepare = () => {
  requireSame()
  if (!db.isOpen) db.open()
  // It may have been replaced in between. Nothing was read yet, so closing it writes nothing.
  requireSame()
  db.exec("PRAGMA synchronous = NORMAL")
  return {
    // SQLite before 3.51 does not know NOOP and makes a checkpoint at once, which is only more often than needed.
    progress: db.prepare("PRAGMA wal_checkpoint(NOOP)"),
    checkpoint: db.prepare("PRAGMA wal_checkpoint(PASSIVE)")
  }
}

let prepared: ReturnType<typeof prepare> | undefined

parentPort?.on("message", () => {
  try {
    prepared ??= prepare()
    const { log, checkpointed } = prepared.progress.get() ?? {}
    if (Number(log) - Number(checkpointed) < enough) return
    prepared.checkpoint.get()
    parentPort?.postMessage("moved")
  } catch (cause) {
    // Another connection has the file to itself. There will be a next message.
    if (!isLocked(cause)) throw cause
  }
})
