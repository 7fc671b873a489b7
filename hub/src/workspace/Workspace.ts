/** The folder `.agentlip/` of a workspace. */
import { Context, Effect, Layer, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"

/** The workspace's folder cannot be used. */
export class WorkspaceError extends Schema.TaggedError<WorkspaceError>("@agentlip/hub/WorkspaceError")(
  "WorkspaceError",
  { folder: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `The hub cannot use ${this.folder}: ${this.reason}`
  }
}

/** Does something to the folder; what goes wrong names it. */
export const attempt = <A>(folder: string, run: () => A): Effect.Effect<A, WorkspaceError> =>
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
