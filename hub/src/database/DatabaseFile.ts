/** Checks that a file is an intact SQLite database of a hub that this version can use. */
import { Effect, Schedule, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as SafeFiles from "../workspace/SafeFiles.ts"
import * as Migrations from "./Migrations.ts"
import { isUnfinished } from "./ReadOnlyFile.ts"

/** The database cannot be used. Nothing in it was changed. */
export class DatabaseUnusable extends Schema.TaggedError<DatabaseUnusable>("@agentlip/hub/DatabaseUnusable")(
  "DatabaseUnusable",
  {
    file: Schema.String,
    problem: Schema.Literals([
      "DAMAGED",
      "FOREIGN",
      "V1",
      "NEWER",
      "OLDER",
      "UNFINISHED",
      "LOCKED",
      "READ_ONLY",
      "UNREADABLE",
      "UNSAFE"
    ]),
    reason: Schema.String
  }
) {
  override get message(): string {
    return this.explain((command) => `agentlip ${command}`)
  }
  /** The message. `call` writes out a command, such as `up`, so that it can be pasted. */
  explain(call: (command: string) => string): string {
    return [`The database ${this.file} cannot be used: ${this.reason}.`, this.remedy(call)]
      .join(" ")
      .trimEnd()
  }
  /** What to do about it. Empty if the reason already says it. */
  remedy(call: (command: string) => string): string {
    const remedy = remedies[this.problem]
    return typeof remedy === "string" ? remedy : remedy(call)
  }
}

type Problem = DatabaseUnusable["problem"]

const remedies: Readonly<Record<Problem, string | ((call: (command: string) => string) => string)>> = {
  DAMAGED: (call) => `Put back a backup, which keeps this one beside it: ${call("restore FILE")}`,
  FOREIGN: "Move it away, or choose another workspace.",
  V1: (call) => `A hub migrates it when it starts on its workspace, and keeps the old file: ${call("up")}`,
  // The reason says what to do, because it is shown for backups too.
  NEWER: "",
  OLDER: (call) => `A hub migrates it when it starts: ${call("up")}`,
  UNFINISHED: (call) => `A hub rolls it back when it starts: ${call("up")}`,
  LOCKED: "End what has it open, such as a database shell, and start again.",
  READ_ONLY: "Let the hub's user write to it and to its folder, and start again.",
  // The reason says what is in the way and what to do.
  UNSAFE: "",
  UNREADABLE: "Make sure that its disk works and has room, and start again."
}

const refuse = (file: string, problem: Problem, reason: string): never => {
  throw new DatabaseUnusable({ file, problem, reason })
}

/** Keyed by SQLite's primary result codes. */
const problems: Readonly<Record<number, Problem>> = {
  3: "READ_ONLY",
  5: "LOCKED",
  6: "LOCKED",
  8: "READ_ONLY",
  11: "DAMAGED"
}

/** Converts an error of SQLite or of `SafeFiles` to `DatabaseUnusable`. */
export const unusable = (file: string, cause: unknown): DatabaseUnusable => {
  if (cause instanceof DatabaseUnusable) return cause
  if (cause instanceof SafeFiles.UnsafeFile) {
    return new DatabaseUnusable({ file, problem: "UNSAFE", reason: cause.message })
  }
  const code = cause instanceof Error && "errcode" in cause ? Number(cause.errcode) & 0xff : 0
  const reason = cause instanceof Error ? cause.message : String(cause)
  return code === 26
    ? new DatabaseUnusable({
        file,
        problem: "DAMAGED",
        reason: "it is no SQLite database, or its header is damaged"
      })
    : new DatabaseUnusable({ file, problem: problems[code] ?? "UNREADABLE", reason })
}

const tableNames = (db: DatabaseSync): ReadonlyArray<string> =>
  db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all()
    .map(({ name }) => String(name))
    .filter((name) => !name.startsWith("sqlite_"))

/** Whether it is the database of Agentlip v1. */
export const isV1 = (db: DatabaseSync): boolean => {
  const tables = tableNames(db)
  return ["meta", "channels", "topic_attachments"].every((table) => tables.includes(table))
}

const numberIn = (db: DatabaseSync, query: string): number => Number(db.prepare(query).get()?.["n"] ?? 0)

/** The number of the last migration, or 0 if the tables were not created yet. */
export const tablesVersionOf = (db: DatabaseSync): number => {
  const isThere = numberIn(db, "SELECT count(*) AS n FROM sqlite_schema WHERE name = 'migrations'") > 0
  return isThere ? numberIn(db, "SELECT max(migration_id) AS n FROM migrations") : 0
}

/**
 * Requires the tables of a hub. A new file has no tables, or only `migrations` if the hub was killed while it created
 * them.
 */
const requireHub = (db: DatabaseSync, file: string): void => {
  const tables = tableNames(db)
  const isHub = tables.includes("migrations") && (tables.length === 1 || tables.includes("meta"))
  if (isV1(db)) refuse(file, "V1", "it is the database of Agentlip v1, not migrated yet")
  if (tables.length > 0 && !isHub) {
    const some = `${tables.slice(0, 5).join(", ")}${tables.length > 5 ? ", …" : ""}`
    refuse(file, "FOREIGN", `it is not the database of a hub: it has the tables ${some}`)
  }
  if (!isHub) return
  const columns = db.prepare("SELECT name FROM pragma_table_info('migrations')").all()
  if (!columns.some(({ name }) => name === "migration_id")) {
    refuse(file, "FOREIGN", "it is not the database of a hub: its migrations are none of a hub's")
  }
  const version = tablesVersionOf(db)
  if (version > Migrations.tablesVersion) {
    const known = `this hub knows them up to ${Migrations.tablesVersion}; use a newer agentlip`
    refuse(file, "NEWER", `its tables are of version ${version}, and ${known}`)
  }
}

/** SQLite opens a read-only file without an error and fails only at the first write, so check here. */
const requireWritable = (file: string): void => {
  for (const place of [path.dirname(file), file]) {
    try {
      fs.accessSync(place, fs.constants.W_OK)
    } catch {
      refuse(file, "READ_ONLY", `${place === file ? "it" : "its folder"} is read-only`)
    }
  }
}

/**
 * Throws `DatabaseUnusable` if the file is damaged, not a hub's or a newer hub's. `quick_check` takes about 0.2 s for
 * 100 MB. `integrity_check` also compares indexes with their tables and takes eight times as long.
 */
export const examine = (
  db: DatabaseSync,
  file: string,
  check: "quick_check" | "integrity_check" = "quick_check"
): void => {
  try {
    requireHub(db, file)
    const verdict = db.prepare(`PRAGMA ${check}(1)`).get()?.[check]
    if (verdict !== "ok") refuse(file, "DAMAGED", `it is damaged (${String(verdict)})`)
  } catch (cause) {
    throw unusable(file, cause)
  }
}

/** Requires the tables of exactly this version, to read without a hub. */
export const requireReadable = (db: DatabaseSync, file: string): void => {
  requireHub(db, file)
  const version = tablesVersionOf(db)
  if (version < Migrations.tablesVersion) {
    refuse(
      file,
      "OLDER",
      `its tables are of version ${version}, and this command reads ${Migrations.tablesVersion}`
    )
  }
}

/** Refuses a file with a transaction that was cut off. */
export const requireFinished = (file: string): void => {
  if (isUnfinished(file)) refuse(file, "UNFINISHED", "a transaction in it was cut off")
}

/** Checks a hub's database before the hub uses it. A missing file is fine. Waits up to 5 s for a lock. */
export const usable = (file: string): Effect.Effect<void, DatabaseUnusable> =>
  Effect.try({
    try: () => {
      if (!SafeFiles.requireDatabase(file)) return
      requireWritable(file)
      // A writable connection would write the log into the file when it closes. It is needed only to roll back after a
      // killed hub.
      const readOnly = !fs.existsSync(`${file}-journal`)
      const db = new DatabaseSync(file, { timeout: 0, readOnly })
      try {
        examine(db, file)
      } finally {
        db.close()
      }
    },
    catch: (cause) => unusable(file, cause)
  }).pipe(
    Effect.retry({
      while: ({ problem }) => problem === "LOCKED",
      schedule: Schedule.spaced("50 millis"),
      times: 100
    })
  )

/** Creates the file, or makes the existing file and those beside it readable by their owner only. */
export const prepare = (file: string): Effect.Effect<void, DatabaseUnusable> =>
  Effect.try({ try: () => SafeFiles.prepareDatabase(file), catch: (cause) => unusable(file, cause) })
