/**
 * Copies of a hub's database: made while the hub runs, checked, and put back.
 *
 * **Details**
 *
 * - A copy is of one moment (`VACUUM INTO`): the hub goes on writing meanwhile, and its process is not asked.
 * - A file is there under its name whole and checked, or not at all, and readable by its owner only.
 * - What is put back has a `db_id` of its own, so that clients notice that it is not what they knew, and events are
 *   numbered on from the highest number that either database had: none is given out twice. Where that number is not
 *   to be had, a million is left out.
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

/** A database cannot be copied or put back; nothing has been changed. */
export class BackupError extends Schema.TaggedError<BackupError>("@agentlip/hub/BackupError")("BackupError", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.file}: ${this.reason}`
  }
}

/** What a database holds. */
export interface Contents {
  readonly bytes: number
  readonly messages: number
  /** The number of its newest event. */
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
  // Or SQLite would make an empty one.
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

/** The highest number that an event of this database has had. */
const newestEvent = (db: DatabaseSync): number =>
  numberIn(db, "SELECT seq AS n FROM sqlite_sequence WHERE name = 'events'")

/** Refuses what is no sound database of a hub, or one of a hub newer than this. */
const inspect = (file: string): Contents =>
  withDatabase(file, (db) => {
    examine(db, file, "integrity_check")
    // A hub's file that was never finished passes for one, but holds nothing to put back.
    if (numberIn(db, "SELECT count(*) AS n FROM sqlite_schema WHERE name = 'meta'") === 0) {
      throw new BackupError({ file, reason: "it is not the database of a hub: it is empty" })
    }
    return {
      bytes: fs.statSync(file).size,
      messages: numberIn(db, "SELECT count(*) AS n FROM messages"),
      newest_event: newestEvent(db)
    }
  })

/** Under its name it is to be there after a loss of power too. */
const flush = (file: string): void => {
  const descriptor = fs.openSync(file, "r")
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** A checked copy beside the place where it is to be, gone with the scope unless it was moved there. */
const copyBeside = (from: string, to: string) =>
  Effect.gen(function* () {
    const copy = yield* Effect.acquireRelease(
      attempt(to, () => {
        const file = `${to}.${randomBytes(6).toString("hex")}.tmp`
        // There before SQLite writes into it, so that nobody else can ever read it.
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
 * Copies the database of a workspace to a file, whether its hub runs or not.
 *
 * **Errors**: `BackupError` where there is no database, the file is there already (and `force` is not set), or the
 * copy is not sound.
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
        // Unlike a rename, a link never replaces what came there meanwhile.
        fs.linkSync(copy, target)
      } catch {
        if (fs.existsSync(target)) throw taken
        // A file system without links, as on many a memory stick.
        fs.renameSync(copy, target)
      }
    })
    yield* attempt(file, () => flush(path.dirname(target)))
    return contents
  }).pipe(Effect.scoped)

/** What became of a restore. */
export interface Restored extends Contents {
  /** Where the database is that was there before; absent where there was none. */
  readonly kept?: string
}

/** More events than there can have been since the backup, where nobody knows how many there were. */
const leftOut = 1_000_000

/** The highest event number of a database that may be in any state; `undefined` where it cannot be told. */
const newestEventIn = (database: string): number | undefined => {
  try {
    // Whoever may write ends by clearing the log away, also that of a database which is to be looked at later.
    return withDatabase(database, newestEvent, { readOnly: true })
  } catch {
    // Not there, or damaged: often the reason for the restore.
    return undefined
  }
}

/** Moves a database out of the way, its log first: a log that stayed would be written into the next database. */
const setAside = (database: string, kept: string): void => {
  for (const part of ["-wal", "-shm", ""]) {
    if (fs.existsSync(database + part)) fs.renameSync(database + part, kept + part)
  }
}

/** Makes a copy a database in its own right. */
const renew = (copy: string, last: number): void =>
  withDatabase(copy, (db) => {
    db.exec("BEGIN IMMEDIATE")
    db.exec("UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'db_id'")
    db.exec("DELETE FROM sqlite_sequence WHERE name = 'events'")
    db.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)").run(last)
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
    const known = newestEventIn(database) ?? contents.newest_event + leftOut
    const last = Math.max(contents.newest_event, known)
    const now = yield* timestamp
    const kept = `${database}.before-${now.replaceAll(":", "-")}`
    return yield* attempt(database, (): Restored => {
      renew(copy, last)
      flush(copy)
      const replaced = fs.existsSync(database)
      if (replaced) setAside(database, kept)
      fs.renameSync(copy, database)
      flush(path.dirname(database))
      return { ...contents, ...(replaced ? { kept } : {}) }
    })
  }).pipe(Effect.scoped)
