/** Reads `.agentlip/server.json`: the address and token of a workspace's hub. */
import { Effect, Schema } from "effect"
import * as SafeFiles from "../../workspace/SafeFiles.ts"
import { Workspace } from "../../workspace/Workspace.ts"
import { CommandError } from "../CommandError.ts"

const Server = Schema.Struct({
  instance_id: Schema.String,
  db_id: Schema.String,
  host: Schema.String,
  port: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 })),
  auth_token: Schema.RedactedFromValue(Schema.String, { label: "auth_token" }),
  pid: Schema.Int,
  started_at: Schema.String,
  /** Missing if an older hub wrote the file. */
  database: Schema.optionalKey(Schema.Literals(["sqlite", "postgresql"]))
})
export type Server = typeof Server.Type

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Server))

/** The hub's address as `http://…`. */
export const urlOf = ({ host, port }: Server): string =>
  `http://${host.includes(":") ? `[${host}]` : host}:${port}`

/** The error if no hub runs for the workspace. */
export const notRunning = (workspace: string, why: string): CommandError =>
  new CommandError({
    reason: `No hub runs on ${workspace}: ${why}. Start it: agentlip up --workspace ${workspace}`,
    code: "HUB_NOT_RUNNING"
  })

/** Loopback names, which no other machine can use. A hub writes one of the first two. */
const loopback = ["127.0.0.1", "::1", "localhost"]

/** Reads the file, whether or not its hub still runs. */
export const readServerFile = Effect.fnUntraced(function* (workspace: string) {
  const { serverFile: file } = Workspace.pathsOf(workspace)
  const text = yield* Effect.try({
    try: () => SafeFiles.read(file),
    catch: (cause) =>
      new CommandError({
        reason:
          cause instanceof SafeFiles.UnsafeFile ? cause.message : `${file} cannot be read: ${String(cause)}`,
        code: "SERVER_FILE"
      })
  })
  if (text === undefined) return yield* notRunning(workspace, "there is no .agentlip/server.json")
  const server = yield* Effect.mapError(
    decode(text),
    // Leave out the decoder's message, because it would show the token.
    () => notRunning(workspace, `${file} is not what a hub writes`)
  )
  if (!loopback.includes(server.host)) {
    const named = JSON.stringify(server.host)
    return yield* notRunning(
      workspace,
      `${file} is ignored, because it names the host ${named}; a hub is at ${loopback.join(", ")} only`
    )
  }
  return server
})
