/**
 * Opens a hub's SQLite file without writing anything, neither to the file nor beside it. A reader of SQLite's own would
 * create or change the files `-wal` and `-shm`.
 *
 * **Details**
 *
 * - A hub that stopped left no log (`-wal`). The file alone is complete, and is opened as one that does not change.
 * - A hub that runs or was killed has a log and its index (`-shm`). The index is opened read-only. SQLite builds its own
 *   in memory if the index cannot be trusted.
 * - A log without its index is left by a copy of the files. SQLite builds the index in memory.
 */
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"

const sizeOf = (file: string): number => fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0

const open = (file: string, parameters: string): DatabaseSync => {
  const url = pathToFileURL(file)
  url.search = parameters
  const db = new DatabaseSync(url, { readOnly: true, timeout: 0 })
  try {
    if (parameters === withoutIndex) db.exec("PRAGMA locking_mode = EXCLUSIVE")
    // Opens the files.
    db.exec("SELECT count(*) FROM sqlite_schema")
    return db
  } catch (cause) {
    db.close()
    throw cause
  }
}

const withoutLog = "?immutable=1"
const withIndex = "?mode=ro&readonly_shm=1"
/** Nobody has the file open, because there would be an index. So the lock that SQLite wants is not needed. */
const withoutIndex = "?mode=ro&vfs=unix-none"

/** True if a transaction was cut off, in a file without a write-ahead log. Only a writer can roll it back. */
export const isUnfinished = (file: string): boolean => sizeOf(`${file}-journal`) > 0

/** True if the hub's log holds changes that the file lacks. */
export const hasLog = (file: string): boolean => sizeOf(`${file}-wal`) > 0

/** Throws SQLite's error if the file is locked, damaged or unreadable. */
export const openReadOnly = (file: string): DatabaseSync => {
  if (!hasLog(file)) return open(file, withoutLog)
  try {
    return open(file, withIndex)
  } catch (cause) {
    if (fs.existsSync(`${file}-shm`) || process.platform === "win32") throw cause
    const isLocked = cause instanceof Error && "errcode" in cause && cause.errcode === 5
    if (isLocked) throw cause
    return open(file, withoutIndex)
  }
}
