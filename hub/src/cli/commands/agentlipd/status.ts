/** `agentlipd status`: what Agentlip v1 prints. `agentlip status` has more. */
import { Effect, Option, Result } from "effect"
import { Command } from "effect/cli"
import { Workspace } from "../../../workspace/Workspace.ts"
import { CommandError } from "../../CommandError.ts"
import { workspaceFolder } from "../../flags/Globals.ts"
import { connectTo, readServerFile } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"
import { databaseId } from "../doctor/files.ts"

/** The document for a hub that cannot be reached. `server.json` may be there, and stale. */
const absent = Effect.fnUntraced(function* (workspace: string, failure: CommandError) {
  const server = Option.getOrUndefined(yield* Effect.option(readServerFile(workspace)))
  const found = server === undefined ? {} : { port: server.port, pid: server.pid }
  const status = server === undefined ? "not_running" : "unreachable"
  yield* show({ status, ...found, error: failure.reason }, () => `The hub is ${status.replace("_", " ")}.`)
  return yield* failure
})

export const daemonStatus = Command.make("status", {}, () =>
  Effect.gen(function* () {
    const workspace = yield* workspaceFolder
    const connected = yield* Effect.result(Effect.flatMap(connectTo(workspace), (hub) => hub.health))
    if (Result.isFailure(connected)) return yield* absent(workspace, connected.failure)
    const { status: _, ...health } = connected.success
    const server = yield* readServerFile(workspace)
    const found = { ...health, port: server.port }
    const onDisk = server.database === "postgresql" ? undefined : databaseId(Workspace.pathsOf(workspace))
    if (onDisk !== undefined && onDisk !== health.db_id) {
      const error = `The hub has the database ${health.db_id}, and the workspace has ${onDisk}`
      yield* show({ status: "db_mismatch", ...found, error }, () => error)
      return yield* new CommandError({
        reason: `${error}. Stop the hub and start it again`,
        code: "DB_MISMATCH"
      })
    }
    yield* show({ status: "running", ...found }, () => [
      `The hub is running: port ${server.port}, process ${health.pid}.`
    ])
  })
).pipe(
  Command.withDescription("Show whether the hub runs and has the database of the workspace"),
  Command.withExamples([{ command: "agentlipd status --json" }])
)
