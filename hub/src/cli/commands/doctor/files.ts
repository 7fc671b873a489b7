/** Checks the files in a workspace's `.agentlip/`. */
import { Effect, Result } from "effect"
import * as fs from "node:fs"
import * as DatabaseFile from "../../../database/DatabaseFile.ts"
import * as Migrations from "../../../database/Migrations.ts"
import { openReadOnly } from "../../../database/ReadOnlyFile.ts"
import { requireTrusted } from "../../../workspace/Ownership.ts"
import * as SafeFiles from "../../../workspace/SafeFiles.ts"
import { requireShort, Workspace, type WorkspacePaths } from "../../../workspace/Workspace.ts"
import { holderOf, isAlive, lockFileOf } from "../../../workspace/Holder.ts"
import { isHeld } from "../../../workspace/WriterLock.ts"
import { commandFor } from "../../calledAs.ts"
import { connectTo } from "../../hub/HubClient.ts"
import { readersText } from "../../render/Readers.ts"
import { type Check, checkOf, reasonOf } from "./Check.ts"

/** The file's mode if other users have access to it; `undefined` if not, or on Windows. */
const openTo = ({ mode }: fs.Stats): string | undefined =>
  process.platform === "win32" || (mode & 0o077) === 0 ? undefined : (mode & 0o777).toString(8)

const folder = (paths: WorkspacePaths): Check => {
  const { root, folder } = paths
  const { ok, warning, problem } = checkOf("workspace")
  if (!fs.statSync(root, { throwIfNoEntry: false })?.isDirectory()) {
    return problem(`${root} is not a folder`, `create a workspace: ${commandFor(root, "init")}`)
  }
  const stats = SafeFiles.statOf(folder)
  if (stats === undefined) {
    return warning(
      `${root} has no .agentlip/ yet`,
      `create it: ${commandFor(root, "init")}; or pass another folder with --workspace`
    )
  }
  try {
    requireShort(paths)
    SafeFiles.requireFolder(folder)
  } catch (cause) {
    return problem(reasonOf(cause), "see above")
  }
  const mode = openTo(stats)
  if (mode !== undefined) return problem(`${folder} is open to others (mode ${mode})`, `chmod 700 ${folder}`)
  try {
    fs.accessSync(folder, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK)
  } catch (cause) {
    return problem(reasonOf(cause), "run the hub as the user that the folder belongs to")
  }
  return ok(root)
}

const hub = Effect.fnUntraced(function* ({ root, serverFile }: WorkspacePaths) {
  const { ok, warning, problem } = checkOf("hub")
  const stats = SafeFiles.statOf(serverFile)
  if (stats === undefined) return ok("no hub runs")
  const mode = stats.isFile() ? openTo(stats) : undefined
  if (mode !== undefined) {
    return problem(
      `${serverFile}, which holds the token, is open to others (mode ${mode})`,
      `${commandFor(root, "down")}, then ${commandFor(root, "up")}: it writes a new file with a new token`
    )
  }
  const found = yield* Effect.result(connectTo(root))
  if (Result.isFailure(found))
    return warning(found.failure.reason, `${commandFor(root, "up")} writes a new server.json`)
  const { url } = found.success
  const health = yield* found.success.health
  return ok(`it runs at ${url}, process ${health.pid}. ${readersText(health.read_auth === true)}`)
})

const lock = (paths: WorkspacePaths, hubRuns: boolean): Check => {
  const { ok, warning, problem } = checkOf("lock")
  try {
    const held = isHeld(paths.folder)
    const holder = holderOf(paths.folder)
    if (!held) {
      return holder === undefined
        ? ok("no hub holds the workspace")
        : warning(
            `the last hub, process ${holder.pid}, did not stop cleanly`,
            "nothing is lost: the next hub starts normally"
          )
    }
    if (holder === undefined || !isAlive(holder)) {
      return hubRuns
        ? ok(`held; ${lockFileOf(paths.folder)} does not name a process that runs here`)
        : problem("a process that cannot be found here holds the workspace", "stop the hub where it runs")
    }
    return hubRuns
      ? ok(`held by process ${holder.pid}, since ${holder.started_at}`)
      : problem(
          `process ${holder.pid} holds the workspace since ${holder.started_at} but does not answer`,
          `if it does not answer soon, stop it: kill ${holder.pid}`
        )
  } catch (cause) {
    return problem(
      `${lockFileOf(paths.folder)} cannot be read: ${reasonOf(cause)}`,
      "delete the file; it only names the process"
    )
  }
}

const database = ({ root, database }: WorkspacePaths): Check => {
  const { ok, warning, problem } = checkOf("database")
  try {
    if (!SafeFiles.requireDatabase(database)) return ok("there is none yet")
    DatabaseFile.requireFinished(database)
    const db = openReadOnly(database)
    try {
      DatabaseFile.examine(db, database)
      const newest = Migrations.tablesVersion
      const version = DatabaseFile.tablesVersionOf(db)
      const mode = openTo(fs.statSync(database))
      if (mode !== undefined)
        return warning(`${database} is open to others (mode ${mode})`, `chmod 600 ${database}`)
      const behind = version < newest ? `; the next start brings it to ${newest}` : ""
      return ok(`sound, tables of version ${version}${behind}`)
    } finally {
      db.close()
    }
  } catch (cause) {
    if (cause instanceof SafeFiles.UnsafeFile) return problem(cause.message, "then start the hub again")
    const unusable = DatabaseFile.unusable(database, cause)
    const remedy = unusable.remedy((command) => commandFor(root, command))
    return problem(
      `${database}: ${unusable.reason}`,
      remedy === "" ? "use the newer agentlip that made it" : remedy
    )
  }
}

/** Checks that the workspace's files may be used at all, before other checks read and run them. */
export const trustCheck = (root: string): Check => {
  const { ok, problem } = checkOf("owner")
  try {
    requireTrusted(root)
    return ok("no file of the workspace belongs to another user")
  } catch (cause) {
    return problem(reasonOf(cause), "nothing else of it was looked at; with --trust it is")
  }
}

/** The id of the workspace's database; `undefined` if it cannot be read. */
export const databaseId = ({ database }: WorkspacePaths): string | undefined => {
  try {
    const db = openReadOnly(database)
    try {
      const id = db.prepare("SELECT value FROM meta WHERE key = 'db_id'").get()?.["value"]
      return id === undefined ? undefined : String(id)
    } finally {
      db.close()
    }
  } catch {
    // The check of the database says why.
    return undefined
  }
}

/** In the order in which a hub depends on them. */
export const fileChecks = Effect.fnUntraced(function* (root: string) {
  const paths = Workspace.pathsOf(root)
  const running = yield* hub(paths)
  const runs = running.status === "ok" && fs.existsSync(paths.serverFile)
  return [folder(paths), running, lock(paths, runs), database(paths)]
})
