/** The hub: how its Layers compose. */
import {
  CircuitBreaker,
  type ConfiguredSpec,
  PluginRuntime,
  Staleness,
  WorkerLayer,
  type WorkerOptions
} from "@agentlip/plugin-runtime"
import { Effect, Layer } from "effect"
import * as path from "node:path"
import { Attachments } from "./Attachments.ts"
import { AuthToken } from "./Auth.ts"
import { Derivations } from "./Derivations.ts"
import * as Derive from "./Derive.ts"
import { Derived } from "./Derived.ts"
import { EventLog } from "./EventLog.ts"
import { Ids } from "./Ids.ts"
import { Messages } from "./Messages.ts"
import * as Migrations from "./Migrations.ts"
import { Outbox } from "./Outbox.ts"
import { Plugins } from "./Plugins.ts"
import * as Server from "./Server.ts"
import * as Sqlite from "./Sqlite.ts"
import { Topics } from "./Topics.ts"
import { announcementLayer, identityLayer, Workspace } from "./Workspace.ts"

export interface HubOptions extends Server.ServerOptions, Derive.DeriveOptions {
  /** The folder that holds, or will hold, `.agentlip/`. */
  readonly workspace: string
  /** Runs on every message. Default none. */
  readonly plugins?: ReadonlyArray<ConfiguredSpec>
}

/**
 * Plugins in isolates of their own, each behind its breaker. Isolates are kept ready on the levels that the
 * plugins use; relative paths of grants are taken from the workspace.
 */
export const pluginsLayer = (
  { workspace, plugins = [] }: Pick<HubOptions, "workspace" | "plugins">,
  options: Pick<WorkerOptions, "node"> = {}
) =>
  PluginRuntime.layer.pipe(
    Layer.provideMerge(CircuitBreaker.layer({ failureThreshold: 3, cooldown: "60 seconds" })),
    Layer.provideMerge(
      WorkerLayer.layer({
        ...options,
        prepare: [...new Set(plugins.map(({ isolation }) => isolation))],
        grantsBase: path.resolve(workspace)
      })
    )
  )

const databaseLayer = Migrations.layer.pipe(
  Layer.provideMerge(
    Layer.unwrap(Effect.map(Workspace, ({ database }) => Sqlite.layer({ filename: database })))
  )
)

/**
 * A running hub, on whatever runs its plugins. Building it opens the database, starts the workers and the
 * server, then writes `.agentlip/server.json`; closing its scope does the reverse.
 *
 * @example
 * ```ts
 * const hub = { workspace: ".", plugins: specs }
 * Layer.launch(Hub.layer(hub).pipe(Layer.provide(Hub.pluginsLayer(hub))))
 * ```
 */
export const layer = ({ workspace, plugins = [], host, port, concurrency }: HubOptions) => {
  const storage = Layer.mergeAll(Ids.layer, EventLog.layer, Derivations.layer, identityLayer)
  const services = Layer.mergeAll(Messages.layer, Attachments.layer).pipe(
    Layer.provideMerge(Topics.layer),
    Layer.provideMerge(Layer.mergeAll(Derived.layer, Outbox.layer(plugins), Plugins.layer(plugins)))
  )
  const pipeline = Derive.layer(plugins, concurrency === undefined ? {} : { concurrency }).pipe(
    Layer.provide(Staleness.layer)
  )
  const server = Server.layer(plugins, {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port })
  })
  return announcementLayer.pipe(
    Layer.provideMerge(server),
    Layer.merge(pipeline),
    Layer.provideMerge(services),
    Layer.provideMerge(storage),
    Layer.provideMerge(databaseLayer),
    Layer.provideMerge(Layer.mergeAll(Workspace.layer(workspace), AuthToken.layer))
  )
}
