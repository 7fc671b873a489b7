/**
 * Puts a backup in the place of a hub's database.
 *
 * **Details**: a restored database gets a new `db_id`, so that clients notice the change. Its event numbers continue
 * after the highest number of both databases, so none is used twice. If that number cannot be read, a million numbers are
 * skipped. Its ids continue after those of both databases too.
 */
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { timestamp } from "../timestamp.ts"
import { attempt, BackupError } from "./BackupError.ts"
import { type Contents, inspect, newestEvent } from "./Contents.ts"
import { copyBeside } from "./copyBeside.ts"
import { flush } from "./flush.ts"
import { foreignCode } from "./StoredCode.ts"
import { withDatabase } from "./withDatabase.ts"
import * as SafeFiles from "../workspace/SafeFiles.ts"
import { Workspace, type WorkspaceOptions } from "../workspace/Workspace.ts"
import { WriterLock } from "../workspace/WriterLock.ts"

/** The result of a restore. */
export interface Restored extends Contents {
  /** Where the previous database was moved to; absent if there was none. */
  readonly kept?: string
}

/** Event numbers to skip if the newest is unknown: more than there can have been since the backup. */
const leftOut = 1_000_000

/** What a database has used, so that a restored one does not use it again. */
interface Used {
  /** The highest event number. */
  readonly event: number
  /** The mark that no id has passed; `undefined` in the database of an earlier hub. See core/Ids.ts. */
  readonly id: string | undefined
}

/** `undefined` if the database cannot be read. */
const usedIn = (database: string): Used | undefined => {
  try {
    // Open it read-only: a writable connection clears the log when it closes, and the database is to be kept as it is.
    return withDatabase(
      database,
      (db) => {
        const id = db.prepare("SELECT value FROM meta WHERE key = 'last_id'").get()?.["value"]
        return { event: newestEvent(db), id: typeof id === "string" ? id : undefined }
      },
      { readOnly: true }
    )
  } catch {
    // Missing or damaged, which is often the reason for the restore.
    return undefined
  }
}

/** Renames a database, its log first: SQLite would apply a remaining log to the next database. */
const setAside = (database: string, kept: string): void => {
  for (const part of ["-wal", "-shm", ""]) {
    if (fs.existsSync(database + part)) fs.renameSync(database + part, kept + part)
  }
}

/** Gives a copy a new `db_id`, and sets what has been used. */
const renew = (copy: string, used: Used): void =>
  withDatabase(copy, (db) => {
    db.exec("BEGIN IMMEDIATE")
    db.exec("UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'db_id'")
    db.exec("DELETE FROM sqlite_sequence WHERE name = 'events'")
    db.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)").run(used.event)
    if (used.id !== undefined) {
      db.prepare(
        `INSERT INTO meta (key, value) VALUES ('last_id', ?)
          ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)`
      ).run(used.id)
    }
    db.exec("COMMIT")
  })

/**
 * Puts a copy in the place of a workspace's database, which is kept beside it under a name with the date.
 *
 * **Errors**: `BackupError` if the file is no sound database of a hub, or has triggers or views that no hub makes; `WorkspaceLocked` while a hub runs.
 *
 * @example
 * ```ts
 * const { kept } = yield* Restore.restore(".", "monday.sqlite3")
 * ```
 */
export const restore = (workspace: string, file: string, options: WorkspaceOptions = {}) =>
  Effect.gen(function* () {
    yield* attempt(file, () => inspect(path.resolve(file)))
    const foreign = yield* foreignCode(path.resolve(file))
    if (foreign.length > 0) {
      return yield* new BackupError({
        file,
        reason: `it is not as a hub made it: it has ${foreign.join(", ")}. Restore another backup`
      })
    }
    const services = yield* Layer.build(
      WriterLock.layer.pipe(Layer.provideMerge(Workspace.layer(workspace, options)))
    )
    const { database } = yield* Effect.provideContext(Workspace, services)
    yield* attempt(database, () => SafeFiles.requireDatabase(database))
    const { copy, contents } = yield* copyBeside(path.resolve(file), database)
    const replacedUsed = usedIn(database)
    const event = Math.max(contents.newest_event, replacedUsed?.event ?? contents.newest_event + leftOut)
    const now = yield* timestamp
    const kept = `${database}.before-${now.replaceAll(":", "-")}`
    return yield* attempt(database, (): Restored => {
      renew(copy, { event, id: replacedUsed?.id })
      flush(copy)
      const replaced = fs.existsSync(database)
      if (replaced) setAside(database, kept)
      fs.renameSync(copy, database)
      flush(path.dirname(database))
      return { ...contents, ...(replaced ? { kept } : {}) }
    })
  }).pipe(Effect.scoped)
