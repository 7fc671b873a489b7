/**
 * Backs up and restores a hub's database. A backup can be made while the hub runs.
 *
 * **Details**
 *
 * - A backup shows one moment (`VACUUM INTO`). The hub keeps writing meanwhile, and its process is not involved.
 * - A backup file appears complete and checked or not at all, and only its owner can read it.
 * - A restored database gets a new `db_id`, so that clients notice the change. Its event numbers continue after the
 *   highest number of both databases, so none is used twice. If that number cannot be read, a million numbers are
 *   skipped. Its ids continue after those of both databases too.
 */
import { Effect, Layer, Schema } from "effect"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { DatabaseUnusable, examine } from "./DatabaseFile.ts"
import { timestamp } from "../timestamp.ts"
import { foreignCode } from "./StoredCode.ts"
import * as SafeFiles from "../workspace/SafeFiles.ts"
import { Workspace, type WorkspaceOptions } from "../workspace/Workspace.ts"
import { WriterLock } from "../workspace/WriterLock.ts"

/** A database cannot be backed up or restored. Nothing was changed. */
export class BackupError extends Schema.TaggedError<BackupError>("@agentlip/hub/BackupError")("BackupError", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.file}: ${this.reason}`
  }
}

/** The contents of a database. */
export interface Contents {
  readonly bytes: number
  readonly messages: number
  /** The number of the newest event. */
  readonly newest_event: number
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const attempt = <A>(file: string, run: () => A): Effect.Effect<A, BackupError> =>
  Effect.try({
    try: run,
    catch: (cause) =>
      cause instanceof BackupError
        ? cause
        : cause instanceof DatabaseUnusable
          ? new BackupError({ file: cause.file, reason: cause.reason })
          : new BackupError({
              file,
              reason: cause instanceof SafeFiles.UnsafeFile ? cause.reason : reasonOf(cause)
            })
  })

const withDatabase = <A>(
  file: string,
  use: (db: DatabaseSync) => A,
  { readOnly = false }: { readonly readOnly?: boolean } = {}
): A => {
  // Check first, because SQLite would create an empty file.
  if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) {
    throw new BackupError({ file, reason: "there is no such file" })
  }
  const db = new DatabaseSync(file, { timeout: 5_000, readOnly })
  try {
    return use(db)
  } finally {
    db.close()
  }
}

const numberIn = (db: DatabaseSync, query: string): number => Number(db.prepare(query).get()?.["n"] ?? 0)

/** The highest event number that the database has used. */
const newestEvent = (db: DatabaseSync): number =>
  numberIn(db, "SELECT seq AS n FROM sqlite_sequence WHERE name = 'events'")

/** Throws if the file is not an intact hub database, or one of a newer hub. */
const inspect = (file: string): Contents =>
  withDatabase(file, (db) => {
    examine(db, file, "integrity_check")
    // A file whose hub was killed while creating it passes the checks, but has nothing to restore.
    if (numberIn(db, "SELECT count(*) AS n FROM sqlite_schema WHERE name = 'meta'") === 0) {
      throw new BackupError({ file, reason: "it is not the database of a hub: it is empty" })
    }
    return {
      bytes: fs.statSync(file).size,
      messages: numberIn(db, "SELECT count(*) AS n FROM messages"),
      newest_event: newestEvent(db)
    }
  })

/** Makes a file survive a power failure. */
const flush = (file: string): void => {
  const descriptor = fs.openSync(file, "r")
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Makes a checked copy next to its target. The copy is removed with the scope unless it was moved. */
const copyBeside = (from: string, to: string) =>
  Effect.gen(function* () {
    const copy = yield* Effect.acquireRelease(
      attempt(to, () => {
        const file = `${to}.${randomBytes(6).toString("hex")}.tmp`
        // Create the file before SQLite writes into it, so that other users can never read it.
        fs.closeSync(fs.openSync(file, "wx", 0o600))
        return file
      }),
      (file) => Effect.sync(() => fs.rmSync(file, { force: true }))
    )
    yield* attempt(from, () => withDatabase(from, (db) => void db.prepare("VACUUM INTO ?").run(copy)))
    const contents = yield* attempt(copy, () => inspect(copy))
    yield* attempt(copy, () => flush(copy))
    return { copy, contents }
  })

/**
 * Copies the database of a workspace to a file. Its hub may be running.
 *
 * **Errors**: `BackupError` if there is no database, if the file exists and `force` is not set, or if the copy is
 * damaged.
 *
 * @example
 * ```ts
 * const { messages } = yield* Backup.backup(".", "monday.sqlite3")
 * ```
 */
export const backup = (
  workspace: string,
  file: string,
  { force = false }: { readonly force?: boolean } = {}
): Effect.Effect<Contents, BackupError> =>
  Effect.gen(function* () {
    const database = Workspace.pathsOf(workspace).database
    yield* attempt(database, () => SafeFiles.requireDatabase(database))
    const target = path.resolve(file)
    const taken = new BackupError({ file, reason: "it is there already; --force replaces it" })
    if (!force && fs.existsSync(target)) return yield* taken
    const { copy, contents } = yield* copyBeside(database, target)
    yield* attempt(file, () => {
      if (force) return fs.renameSync(copy, target)
      try {
        // Unlike a rename, a link never replaces a file that was created meanwhile.
        fs.linkSync(copy, target)
      } catch {
        if (fs.existsSync(target)) throw taken
        // The file system has no links, as on many memory sticks.
        fs.renameSync(copy, target)
      }
    })
    yield* attempt(file, () => flush(path.dirname(target)))
    return contents
  }).pipe(Effect.scoped)

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
 * const { kept } = yield* Backup.restore(".", "monday.sqlite3")
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
