/** Opens the database of a workspace whose hub does not run, to prune it. Holds the workspace's lock meanwhile. */
import { Layer, type Redacted } from "effect"
import { EventLog } from "../core/EventLog.ts"
import { Ids } from "../core/Ids.ts"
import * as Database from "../database/Database.ts"
import { Workspace, type WorkspaceOptions } from "../workspace/Workspace.ts"
import { WriterLock } from "../workspace/WriterLock.ts"
import { Pruning } from "./Pruning.ts"

/** `database` is the URL of a PostgreSQL database; without it, the file in the workspace. */
export const layer = (
  workspace: string,
  database: Redacted.Redacted | undefined,
  options: WorkspaceOptions = {}
) =>
  Pruning.layer.pipe(
    Layer.provide(Layer.mergeAll(EventLog.layer, Ids.layer)),
    Layer.provideMerge(Database.layer(database)),
    Layer.provideMerge(WriterLock.layer),
    Layer.provideMerge(Workspace.layer(workspace, options))
  )
