/** The folder `.agentlip/` of a workspace: the database, and where clients find the running hub. */
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import * as fs from "node:fs"
import * as path from "node:path"
import { Identity, protocolVersion, schemaVersion } from "./Api.ts"
import { AuthToken } from "./Auth.ts"

/** The workspace's folder cannot be used. */
export class WorkspaceError extends Schema.TaggedError<WorkspaceError>("@agentlip/hub/WorkspaceError")(
  "WorkspaceError",
  { folder: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `The hub cannot use ${this.folder}: ${this.reason}`
  }
}

const attempt = <A>(folder: string, run: () => A): Effect.Effect<A, WorkspaceError> =>
  Effect.try({
    try: run,
    catch: (cause) =>
      new WorkspaceError({ folder, reason: cause instanceof Error ? cause.message : String(cause) })
  })

/** Where the hub keeps what belongs to a workspace. */
export interface WorkspacePaths {
  readonly root: string
  readonly folder: string
  readonly database: string
  readonly serverFile: string
}

export class Workspace extends Context.Service<Workspace, WorkspacePaths>()("@agentlip/hub/Workspace") {
  /** Of a workspace that may not be there. */
  static readonly pathsOf = (root: string): WorkspacePaths => {
    const absolute = path.resolve(root)
    const folder = path.join(absolute, ".agentlip")
    return {
      root: absolute,
      folder,
      database: path.join(folder, "db.sqlite3"),
      serverFile: path.join(folder, "server.json")
    }
  }

  /** Makes `.agentlip/` in an existing folder, closed to everybody else. */
  static readonly layer = (root: string): Layer.Layer<Workspace, WorkspaceError> =>
    Layer.effect(
      Workspace,
      Effect.gen(function* () {
        const paths = Workspace.pathsOf(root)
        yield* attempt(paths.folder, () => {
          if (!fs.statSync(paths.root).isDirectory()) throw new Error(`${paths.root} is not a folder`)
          fs.mkdirSync(paths.folder, { recursive: true, mode: 0o700 })
          // The mode above is cut by the umask and does not touch a folder that was there.
          fs.chmodSync(paths.folder, 0o700)
        })
        return Workspace.of(paths)
      })
    )
}

const ServerFile = Schema.fromJsonString(Schema.Struct({ instance_id: Schema.String }))

/** Whose file it is now: another hub may have taken the workspace over. */
const ownerOf = (file: string): string | undefined => {
  try {
    return Schema.decodeUnknownSync(ServerFile)(fs.readFileSync(file, "utf8")).instance_id
  } catch {
    // Gone or unreadable: nobody's that this hub could remove.
    return undefined
  }
}

/** Writes `server.json` once the server listens, and removes it at a clean stop. */
export const announcementLayer: Layer.Layer<
  never,
  WorkspaceError,
  Workspace | Identity | AuthToken | HttpServer.HttpServer
> = Layer.effectDiscard(
  Effect.gen(function* () {
    const { folder, serverFile } = yield* Workspace
    const { instance_id, db_id, started_at } = yield* Identity
    const { address } = yield* HttpServer.HttpServer
    const token = yield* AuthToken
    if (!NetAddress.isInetAddress(address)) return yield* Effect.die("the hub listens on no internet address")
    const content = {
      instance_id,
      db_id,
      host: NetAddress.formatIp(address.address),
      port: address.port,
      auth_token: Redacted.value(token),
      pid: process.pid,
      started_at,
      protocol_version: protocolVersion,
      schema_version: schemaVersion
    }
    const temporary = path.join(folder, `server.${instance_id}.tmp`)
    yield* Effect.acquireRelease(
      attempt(folder, () => {
        fs.writeFileSync(temporary, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flag: "wx" })
        fs.renameSync(temporary, serverFile)
      }),
      () =>
        Effect.sync(() => {
          if (ownerOf(serverFile) === instance_id) fs.rmSync(serverFile, { force: true })
        })
    )
  })
)
