/**
 * Opens a workspace of Agentlip v1: a copy of its database with this hub's tables takes the place of the database, and
 * the old one stays beside it.
 *
 * **Details**
 *
 * - The copy is made in a file of its own, in one transaction, and compared with the old database. Until the end the old
 *   file is only read. If anything fails, or the hub is killed, it is as it was, and the next start begins again.
 * - SQLite's exclusive lock on the old file fails while another process has it open. So a v1 hub that still runs cannot
 *   write to the file after it was copied.
 * - The last step is one rename. Before it, the old file gets its second name.
 */
import { Effect, Layer } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { timestamp } from "../timestamp.ts"
import * as SafeFiles from "../workspace/SafeFiles.ts"
import { DatabaseUnusable, isV1, unusable } from "./DatabaseFile.ts"
import { flush } from "./flush.ts"
import * as Migrations from "./Migrations.ts"
import * as Sqlite from "./Sqlite.ts"
import { type Copied, copyV1 } from "./V1Copy.ts"

/** What a migration has done. */
export interface MigratedV1 extends Copied {
  /** Where v1's database is now. */
  readonly kept: string
}

/** Why v1's database cannot be migrated. It is unchanged. */
const failure = (database: string, cause: unknown): DatabaseUnusable => {
  if (cause instanceof DatabaseUnusable) return cause
  const { problem, reason } = unusable(database, cause)
  const why = problem === "LOCKED" ? "another process has it open. Stop Agentlip v1 if it still runs" : reason
  return new DatabaseUnusable({
    file: database,
    problem,
    reason: `it is the database of Agentlip v1, and could not be copied: ${why}. It is unchanged`
  })
}

const attempt = <A>(file: string, run: () => A): Effect.Effect<A, DatabaseUnusable> =>
  Effect.try({ try: run, catch: (cause) => unusable(file, cause) })

/** The innermost cause of a failure of the copy. */
const origin = (error: unknown): unknown =>
  error instanceof SqlError.SqlError
    ? origin(error.reason.cause)
    : error instanceof Error && error.cause !== undefined
      ? origin(error.cause)
      : error

/**
 * Whether the file is v1's database, in a form that can be copied. Writes what v1 has left in its log into the file, as
 * v1 itself does at its next start.
 */
const isCopyable = (database: string): boolean => {
  if (!SafeFiles.requireDatabase(database) || fs.statSync(database).size === 0) return false
  // A writable connection changes the file when it closes, which a file that is not v1's must not be.
  const isKilled = fs.existsSync(`${database}-journal`)
  const db = new DatabaseSync(database, { timeout: 0, readOnly: !isKilled })
  try {
    if (!isV1(db)) return false
    const version = db.prepare("SELECT value FROM meta WHERE key = 'schema_version'").get()?.["value"]
    if (version !== "1") {
      throw new DatabaseUnusable({
        file: database,
        problem: "NEWER",
        reason: `it is the database of Agentlip v1 with schema_version ${String(version)}, and this hub knows 1; use a newer agentlip`
      })
    }
    const verdict = db.prepare("PRAGMA quick_check(1)").get()?.["quick_check"]
    if (verdict !== "ok") {
      throw new DatabaseUnusable({
        file: database,
        problem: "DAMAGED",
        reason: `it is the database of Agentlip v1, and damaged (${String(verdict)})`
      })
    }
  } finally {
    db.close()
  }
  if (fs.existsSync(`${database}-wal`)) checkpoint(database)
  return true
}

/** Writes what is in the log into the file. Fails if another process has it open. */
const checkpoint = (database: string): void => {
  const db = new DatabaseSync(database, { timeout: 0 })
  try {
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA wal_checkpoint(TRUNCATE)")
  } catch (cause) {
    throw failure(database, cause)
  } finally {
    db.close()
  }
}

/** Gives a file a second name, or copies it if its file system has no links, as on many memory sticks. */
const keep = (file: string, second: string): void => {
  try {
    fs.linkSync(file, second)
  } catch {
    fs.copyFileSync(file, second, fs.constants.COPYFILE_EXCL)
    flush(second)
  }
}

const shown = (count: number): string => count.toLocaleString("en-US")

/** A path for an attached database, as an SQL text. */
const quoted = (file: string): string => `'${file.replaceAll("'", "''")}'`

/** Fills a new file with a copy of the old database. */
const fill = (file: string, database: string) =>
  Effect.gen(function* () {
    yield* Migrations.migrate
    const sql = yield* SqlClient.SqlClient
    yield* sql.unsafe(`ATTACH DATABASE ${quoted(database)} AS v1`)
    yield* sql.unsafe("PRAGMA v1.locking_mode = EXCLUSIVE")
    const copied = yield* sql.withTransaction(
      copyV1((table, rows, total) =>
        Effect.logInfo(`copying the database of Agentlip v1: ${shown(rows)} of ${shown(total)} ${table}`)
      )
    )
    yield* sql.unsafe("DETACH DATABASE v1")
    // One file without a log, so that one rename moves it.
    yield* sql.unsafe("PRAGMA wal_checkpoint(TRUNCATE)")
    return copied
  }).pipe(
    Effect.provide(Layer.fresh(Sqlite.layer({ filename: file }))),
    Effect.mapError((error) => failure(database, origin(error)))
  )

/**
 * Migrates the database if it is v1's; `undefined` if it is missing or not v1's.
 *
 * **Errors**: `DatabaseUnusable` if it is damaged, of an unknown version, locked, or cannot be copied. The old file is
 * unchanged then.
 */
export const migrateV1 = (database: string): Effect.Effect<MigratedV1 | undefined, DatabaseUnusable> =>
  Effect.gen(function* () {
    if (!(yield* attempt(database, () => isCopyable(database)))) return undefined
    yield* Effect.logInfo(`${database} is a database of Agentlip v1: copying it`)
    const copy = `${database}.from-v1.tmp`
    const parts = ["", "-wal", "-shm", "-journal"].map((extension) => copy + extension)
    const removeCopy = () => {
      for (const part of parts) fs.rmSync(part, { force: true })
    }
    yield* Effect.acquireRelease(
      // Left by a start that was killed.
      attempt(copy, () => {
        removeCopy()
        SafeFiles.prepareDatabase(copy)
      }),
      () => Effect.sync(removeCopy)
    )
    const copied = yield* fill(copy, database)
    const now = yield* timestamp
    const kept = `${database}.v1-${now.replaceAll(":", "-")}`
    yield* attempt(database, () => {
      flush(copy)
      keep(database, kept)
      SafeFiles.closeIfThere(kept)
      for (const extension of ["-wal", "-shm"]) fs.rmSync(database + extension, { force: true })
      fs.renameSync(copy, database)
      flush(path.dirname(database))
    })
    return { ...copied, kept }
  }).pipe(Effect.scoped)

/** What the hub says about a migration. */
export const migrationText = ({ kept, recovered, leftOut, ...rows }: MigratedV1): string => {
  const counts = Object.entries(rows).map(([table, count]) => `${shown(count)} ${table}`)
  const odd = [
    ...(recovered > 0 ? [`${recovered} missing channels or topics were created again ("recovered …")`] : []),
    ...(leftOut > 0 ? [`${leftOut} enrichments without a message were left out`] : [])
  ]
  return [
    `Migrated the database of Agentlip v1: ${counts.join(", ")}.`,
    ...odd.map((text) => `${text}.`),
    `The old database is ${kept}; to go back, stop the hub and rename it.`,
    "Run agentlip backfill to have plugins look at old messages again."
  ].join(" ")
}
