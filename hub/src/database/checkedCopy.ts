/** Copies a SQLite file of a hub, and checks the copy. */
import { Effect, Schema } from "effect"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { DatabaseUnusable, examine } from "./DatabaseFile.ts"
import * as SafeFiles from "../workspace/SafeFiles.ts"

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

/** Runs a file operation. A failure becomes a `BackupError`, which names the file. */
export const attempt = <A>(file: string, run: () => A): Effect.Effect<A, BackupError> =>
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

/** Uses an existing database, and closes it. */
export const withDatabase = <A>(
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
export const newestEvent = (db: DatabaseSync): number =>
  numberIn(db, "SELECT seq AS n FROM sqlite_sequence WHERE name = 'events'")

/** Throws if the file is not an intact hub database, or one of a newer hub. */
export const inspect = (file: string): Contents =>
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
export const flush = (file: string): void => {
  const descriptor = fs.openSync(file, "r")
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Makes a checked copy next to its target. The copy is removed with the scope unless it was moved. */
export const copyBeside = (from: string, to: string) =>
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
