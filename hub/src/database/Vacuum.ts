/**
 * Gives free space in a SQLite file back to the disk. SQLite writes the whole file anew, so what was deleted is in it no
 * longer, not even as bytes of free pages.
 */
import { ByteSize, Effect, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type DatabaseUnusable, unusable } from "./DatabaseFile.ts"
import { emptyLog } from "./emptyLog.ts"

/** A disk has too little room to write the file anew. Nothing was changed. */
export class NoRoom extends Schema.TaggedError<NoRoom>("@agentlip/hub/NoRoom")("NoRoom", {
  folder: Schema.String,
  needed: Schema.Int,
  free: Schema.Int
}) {
  override get message(): string {
    return (
      `The database cannot be written anew: that needs ${size(this.needed)} in ${this.folder}, and ` +
      `${size(this.free)} are free. Free some space there, then try again`
    )
  }
}

const size = (bytes: number): string => ByteSize.format(ByteSize.bytes(bytes))

/** What a SQLite file uses, in bytes. */
export interface FileUse {
  readonly bytes: number
  /** Pages in the file that new data will use again. */
  readonly free: number
}

/** Reads how much of a file is free. `undefined` if the file is missing or cannot be read. */
export const fileUse = (file: string): FileUse | undefined => {
  try {
    const db = new DatabaseSync(file, { readOnly: true })
    try {
      const numberOf = (pragma: string) => Number(db.prepare(`PRAGMA ${pragma}`).get()?.[pragma] ?? 0)
      const page = numberOf("page_size")
      return { bytes: page * numberOf("page_count"), free: page * numberOf("freelist_count") }
    } finally {
      db.close()
    }
  } catch {
    return undefined
  }
}

/** SQLite writes the new file into the folder for temporary files first, then into the log beside the database. */
const temporaryFolder = (): string => process.env["SQLITE_TMPDIR"] ?? os.tmpdir()

const freeIn = (folder: string): number => {
  const { bavail, bsize } = fs.statfsSync(folder)
  return bavail * bsize
}

/** Fails with `NoRoom` unless the disks have room for two more copies of what the file holds. */
export const requireRoom = (
  file: string,
  { bytes, free }: FileUse,
  free_in: (folder: string) => number = freeIn
): Effect.Effect<void, NoRoom> => {
  const folders = [path.dirname(file), temporaryFolder()] as const
  const [here, there] = folders.map((folder) => fs.statSync(folder).dev)
  const used = bytes - free
  const places =
    here === there
      ? [{ folder: folders[0], needed: 2 * used }]
      : folders.map((folder) => ({ folder, needed: used }))
  const short = places
    .map((place) => ({ ...place, free: free_in(place.folder) }))
    .find(({ needed, free }) => free < needed)
  return short === undefined ? Effect.void : Effect.fail(new NoRoom(short))
}

const explain = (file: string) => (error: SqlError.SqlError) =>
  Effect.fail(unusable(file, error.reason.cause))

/** Brings the log into the file, and makes sure that it can be written anew. Returns its size. Changes no data. */
export const makeReady = (
  file: string
): Effect.Effect<number, NoRoom | DatabaseUnusable, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    yield* emptyLog(yield* SqlClient.SqlClient)
    const use = fileUse(file) ?? { bytes: 0, free: 0 }
    yield* requireRoom(file, use)
    return use.bytes
  }).pipe(Effect.catchTag("SqlError", explain(file)))

/** Writes the file anew, to its end. Call `makeReady` before, and let nothing else use the database. Returns its size. */
export const rewrite = (file: string): Effect.Effect<number, DatabaseUnusable, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql.unsafe("VACUUM")
    yield* emptyLog(sql)
    return fs.statSync(file).size
  }).pipe(Effect.catchTag("SqlError", explain(file)), Effect.uninterruptible)
