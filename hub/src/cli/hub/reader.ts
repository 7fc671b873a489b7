/** Connects commands that read: to the running hub, or to the database itself if no hub runs. */
import { Effect, Option, type Redacted, Result } from "effect"
import { Workspace } from "../../workspace/Workspace.ts"
import { commandFor } from "../calledAs.ts"
import { CommandError } from "../CommandError.ts"
import { workspaceFolder } from "../flags/Globals.ts"
import { connectTo, readServerFile } from "./HubClient.ts"
import type { HubReader } from "./HubReader.ts"

export interface ReadOptions {
  /** Do not ask the hub, even if one runs. */
  readonly offline: boolean
  /** The PostgreSQL database to read without a hub. */
  readonly database: Option.Option<Redacted.Redacted>
}

/** Errors of a hub that does not run. A hub that cannot prove itself is another matter. */
const isMissing = ({ code }: CommandError): boolean => ["HUB_NOT_RUNNING", "NOT_THE_HUB"].includes(code)

const noDatabase = (workspace: string) =>
  new CommandError({
    reason:
      `${workspace} has no database to read. Start a hub, which creates it: ${commandFor(workspace, "up")}; ` +
      "or pass --database if it is on PostgreSQL",
    code: "NO_DATABASE"
  })

/** True if the workspace's hub, which may have been killed, keeps its database on PostgreSQL. */
const isOnPostgres = (workspace: string) =>
  Effect.map(
    Effect.option(readServerFile(workspace)),
    (server) => Option.isSome(server) && server.value.database === "postgresql"
  )

/** Reads the database of the workspace. `missing` is the error if there is none. */
const offline = Effect.fnUntraced(function* (
  workspace: string,
  { database }: ReadOptions,
  missing: CommandError
) {
  const { readFile, readPostgres } = yield* Effect.promise(() => import("./offline.ts"))
  if (Option.isSome(database)) return yield* readPostgres(workspace, database.value)
  if (yield* isOnPostgres(workspace)) {
    return yield* new CommandError({
      reason: `${missing.reason}\nThe database is on PostgreSQL: to read it without a hub, pass --database URL or set AGENTLIP_DATABASE`,
      code: missing.code
    })
  }
  const found = yield* readFile(workspace, Workspace.pathsOf(workspace).database)
  return found ?? (yield* missing)
})

/** The running hub of the command's workspace, or its database. */
export const connectOrOpen = Effect.fnUntraced(function* (options: ReadOptions) {
  const workspace = yield* workspaceFolder
  if (options.offline) return { database: yield* offline(workspace, options, noDatabase(workspace)) }
  const hub = yield* Effect.result(connectTo(workspace))
  if (Result.isSuccess(hub)) return { hub: hub.success }
  if (!isMissing(hub.failure)) return yield* hub.failure
  return { database: yield* offline(workspace, options, hub.failure), missing: hub.failure }
})

/** Reads from the running hub of the command's workspace, or from its database if no hub runs. */
export const reader = (options: ReadOptions) =>
  Effect.map(connectOrOpen(options), ({ hub, database }): HubReader => hub ?? database)
