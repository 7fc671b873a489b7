/** What the SQLite file of a hub holds. */
import * as fs from "node:fs"
import type { DatabaseSync } from "node:sqlite"
import { BackupError } from "./BackupError.ts"
import { examine } from "./DatabaseFile.ts"
import { withDatabase } from "./withDatabase.ts"

/** The contents of a database. */
export interface Contents {
  readonly bytes: number
  readonly messages: number
  /** The number of the newest event. */
  readonly newest_event: number
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
