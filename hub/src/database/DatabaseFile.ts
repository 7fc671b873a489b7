/** Whether a file is a sound SQLite database of a hub that this version can use. */
import { Effect, Schedule, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as SafeFiles from "../workspace/SafeFiles.ts"
import * as Migrations from "./Migrations.ts"

/** A database that must not be written to; nothing has been changed. */
export class DatabaseUnusable extends Schema.TaggedError<DatabaseUnusable>("@agentlip/hub/DatabaseUnusable")(
  "DatabaseUnusable",
  {
    file: Schema.String,
    problem: Schema.Literals([
      "DAMAGED",
      "FOREIGN",
      "V1",
      "NEWER",
      "LOCKED",
      "READ_ONLY",
      "UNREADABLE",
      "UNSAFE"
    ]),
    reason: Schema.String
  }
) {
  override get message(): string {
    return [`The database ${this.file} cannot be used: ${this.reason}.`, this.remedy].join(" ").trimEnd()
  }
  /** What to do about it; empty where the reason says it. */
  get remedy(): string {
    return remedies[this.problem]
  }
}

type Problem = DatabaseUnusable["problem"]

const remedies: Readonly<Record<Problem, string>> = {
  DAMAGED: "Put back a backup (agentlip restore FILE), which keeps this one beside it.",
  FOREIGN: "Move it away, or choose another workspace.",
  V1: "It is not damaged, but this hub cannot open it: keep the file for Agentlip v1 and choose another workspace.",
  // The reason says it, because it holds for a backup too.
  NEWER: "",
  LOCKED: "End what has it open, such as a database shell, and start again.",
  READ_ONLY: "Let the hub's user write to it and to its folder, and start again.",
  // The reason says what stands there, and what to do about it.
  UNSAFE: "",
  UNREADABLE: "Make sure that its disk works and has room, and start again."
}

const refuse = (file: string, problem: Problem, reason: string): never => {
  throw new DatabaseUnusable({ file, problem, reason })
}

/** By SQLite's primary result codes. */
const problems: Readonly<Record<number, Problem>> = {
  3: "READ_ONLY",
  5: "LOCKED",
  6: "LOCKED",
  8: "READ_ONLY",
  11: "DAMAGED"
}

/** What SQLite threw, in these terms. */
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

const numberIn = (db: DatabaseSync, query: string): number => Number(db.prepare(query).get()?.["n"] ?? 0)

/** Which migration the tables of a hub are at; 0: they are not made yet. */
export const tablesVersionOf = (db: DatabaseSync): number => {
  const isThere = numberIn(db, "SELECT count(*) AS n FROM sqlite_schema WHERE name = 'migrations'") > 0
  return isThere ? numberIn(db, "SELECT max(migration_id) AS n FROM migrations") : 0
}

/** The tables of a hub; a file that is new, or whose hub was killed as it made them, has none or only `migrations`. */
const requireHub = (db: DatabaseSync, file: string): void => {
  const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all()
  const tables = names.map(({ name }) => String(name)).filter((name) => !name.startsWith("sqlite_"))
  const isHub = tables.includes("migrations") && (tables.length === 1 || tables.includes("meta"))
  if (["meta", "channels", "topic_attachments"].every((table) => tables.includes(table))) {
    refuse(file, "V1", "it is the database of Agentlip v1")
  }
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

/** SQLite opens what may not be written to, and says so at the first write only. */
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
 * Refuses, by throwing `DatabaseUnusable`, what is no sound database of a hub, or one of a newer hub. `quick_check`
 * takes about 0.2 s for 100 MB, `integrity_check`, which compares indexes with their tables too, eight times as long.
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

/** Examines a hub's database before the hub uses it; one that is not there yet is fine. A lock is waited for, 5 s. */
export const usable = (file: string): Effect.Effect<void, DatabaseUnusable> =>
  Effect.try({
    try: () => {
      if (!SafeFiles.requireDatabase(file)) return
      requireWritable(file)
      // Whoever may write ends by writing the log into the file; a rollback of a killed hub is its due, though.
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

/** Makes the file, or closes the one that is there and those beside it to others: what it holds is the owner's. */
export const prepare = (file: string): Effect.Effect<void, DatabaseUnusable> =>
  Effect.try({ try: () => SafeFiles.prepareDatabase(file), catch: (cause) => unusable(file, cause) })
