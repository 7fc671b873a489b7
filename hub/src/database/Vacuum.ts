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
import { unusable } from "./DatabaseFile.ts"
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

/** The file could not be written anew. It holds what it held before. */
export class VacuumFailed extends Schema.TaggedError<VacuumFailed>("@agentlip/hub/VacuumFailed")(
  "VacuumFailed",
  { file: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `${this.file} was not written anew: ${this.reason}`
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

const inUse =
  "another process reads it or writes to it. End that process, such as a database shell, then try again"

const explain =
  (file: string) =>
  ({ reason: { cause } }: SqlError.SqlError): VacuumFailed => {
    const { problem, reason } = unusable(file, cause)
    return new VacuumFailed({ file, reason: problem === "LOCKED" ? inUse : reason })
  }

/**
 * Moves the log into the file, and makes sure that the file can be written anew. Returns its size. Changes no data. Waits
 * up to five seconds for others that use the file, and fails with `VacuumFailed` if they still do then.
 */
export const makeReady = (file: string): Effect.Effect<number, NoRoom | VacuumFailed, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const isEmpty = yield* Effect.mapError(emptyLog(sql), explain(file))
    if (!isEmpty) return yield* new VacuumFailed({ file, reason: inUse })
    const use = fileUse(file) ?? { bytes: 0, free: 0 }
    yield* requireRoom(file, use)
    return use.bytes
  })

/** A file that was written anew. */
export interface Rewritten {
  /** The size of the file. While the new content is still in the log, the file is as large as before. */
  readonly bytes: number
  /** Why the new content is still in the log; `undefined` if it is in the file. The last one who closes the file moves it. */
  readonly inLog: string | undefined
}

/** Writes the file anew. Call `makeReady` before. Blocks this thread while it writes, so no signal is handled meanwhile. */
export const rewrite = (file: string): Effect.Effect<Rewritten, VacuumFailed, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* Effect.mapError(sql.unsafe("VACUUM"), explain(file))
    // The new content is in the log now, and counts from here on, whatever becomes of the log.
    const inLog = yield* Effect.match(emptyLog(sql), {
      onSuccess: (isEmpty) => (isEmpty ? undefined : "another process has the file open"),
      onFailure: ({ reason: { cause } }) => unusable(file, cause).reason
    })
    return { bytes: fs.statSync(file).size, inLog }
  }).pipe(Effect.uninterruptible)
