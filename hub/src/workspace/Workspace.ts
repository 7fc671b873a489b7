/** The folder `.agentlip/` of a workspace. */
import { Context, Effect, Layer, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { requireTrusted } from "./Ownership.ts"
import * as SafeFiles from "./SafeFiles.ts"

/** The workspace's folder cannot be used. */
export class WorkspaceError extends Schema.TaggedError<WorkspaceError>("@agentlip/hub/WorkspaceError")(
  "WorkspaceError",
  { folder: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `The hub cannot use ${this.folder}: ${this.reason}`
  }
}

/** Runs a file operation. A failure becomes a `WorkspaceError` that names the folder. */
export const attempt = <A>(folder: string, run: () => A): Effect.Effect<A, WorkspaceError> =>
  Effect.try({
    try: run,
    catch: (cause) =>
      new WorkspaceError({ folder, reason: cause instanceof Error ? cause.message : String(cause) })
  })

export interface WorkspaceOptions {
  /** Use files of other users too. Default `false`. */
  readonly trust?: boolean
}

/** Most bytes in a workspace's path. SQLite allows 512 for a file's path, including the suffixes it adds. */
export const longestRoot = 440

/** Throws if the path is too long. SQLite would only say that it cannot open the file. */
export const requireShort = ({ root }: WorkspacePaths): void => {
  const length = Buffer.byteLength(root)
  if (length > longestRoot) {
    throw new Error(
      `the workspace's path has ${length} bytes, and the database takes ${longestRoot} at most; move the workspace nearer to /`
    )
  }
}

/** The paths of a workspace. */
export interface WorkspacePaths {
  readonly root: string
  readonly folder: string
  readonly database: string
  readonly serverFile: string
}

export class Workspace extends Context.Service<Workspace, WorkspacePaths>()("@agentlip/hub/Workspace") {
  /** The paths of a workspace, which may not exist. */
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

  /** Creates `.agentlip/` in an existing folder, accessible to its owner only. Refuses files of other users. */
  static readonly layer = (
    root: string,
    { trust = false }: WorkspaceOptions = {}
  ): Layer.Layer<Workspace, WorkspaceError> =>
    Layer.effect(
      Workspace,
      Effect.gen(function* () {
        const paths = Workspace.pathsOf(root)
        yield* attempt(paths.folder, () => {
          requireShort(paths)
          if (!fs.statSync(paths.root).isDirectory()) throw new Error(`${paths.root} is not a folder`)
          if (!trust) requireTrusted(paths.root)
          SafeFiles.makeFolder(paths.folder)
        })
        return Workspace.of(paths)
      })
    )
}
