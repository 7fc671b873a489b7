/** `.agentlip/server.json` tells clients where the running hub is. */
import { parseServerFile, protocolVersions, type ServerFile, serverFileText } from "@agentlip/protocol"
import { Effect, Layer, Redacted } from "effect"
import { HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import { SqlClient } from "effect/sql"
import * as fs from "node:fs"
import { AuthToken } from "./AuthToken.ts"
import { Identity } from "./HubIdentity.ts"
import * as SafeFiles from "./SafeFiles.ts"
import { attempt, Workspace, type WorkspaceError } from "./Workspace.ts"

/** The instance that wrote the file: another hub may have taken over the workspace. */
const ownerOf = (file: string): string | undefined => {
  try {
    const parsed = parseServerFile(SafeFiles.read(file) ?? "")
    return "server" in parsed ? parsed.server.instance_id : undefined
  } catch {
    // The file is gone or unreadable, so this hub must not remove it.
    return undefined
  }
}

/** Writes `server.json` once the server listens, and removes it at a clean stop. */
export const layer: Layer.Layer<
  never,
  WorkspaceError,
  Workspace | Identity | AuthToken | HttpServer.HttpServer | SqlClient.SqlClient
> = Layer.effectDiscard(
  Effect.gen(function* () {
    const { folder, serverFile } = yield* Workspace
    const { instance_id, db_id, started_at } = yield* Identity
    const { address } = yield* HttpServer.HttpServer
    const token = yield* AuthToken
    const sql = yield* SqlClient.SqlClient
    if (!NetAddress.isInetAddress(address)) return yield* Effect.die("the hub listens on no internet address")
    const content: ServerFile = {
      instance_id,
      db_id,
      host: NetAddress.formatIp(address.address),
      port: address.port,
      auth_token: Redacted.value(token),
      pid: process.pid,
      started_at,
      ...protocolVersions,
      database: sql.onDialectOrElse({ pg: () => "postgresql", orElse: () => "sqlite" })
    }
    yield* Effect.acquireRelease(
      attempt(folder, () => SafeFiles.replace(serverFile, serverFileText(content))),
      () =>
        Effect.sync(() => {
          if (ownerOf(serverFile) === instance_id) fs.rmSync(serverFile, { force: true })
        })
    )
  })
)
