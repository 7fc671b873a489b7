/** Composes the hub from its Layers. */
import {
  CircuitBreaker,
  type ConfiguredSpec,
  PluginRuntime,
  type RetentionOptions,
  WorkerLayer,
  type WorkerOptions
} from "@agentlip/plugin-runtime"
import { Effect, Layer, type Redacted } from "effect"
import * as path from "node:path"
import { Activity } from "./http/Activity.ts"
import { Attachments } from "./messages/Attachments.ts"
import * as Announcement from "./workspace/Announcement.ts"
import { AuthToken } from "./workspace/AuthToken.ts"
import { Backfills } from "./jobs/Backfills.ts"
import * as Database from "./database/Database.ts"
import { PausedPlugins } from "./jobs/PausedPlugins.ts"
import * as Dispatcher from "./jobs/Dispatcher.ts"
import { Findings } from "./jobs/Findings.ts"
import { EventLog } from "./core/EventLog.ts"
import { Feed, type LiveOptions } from "./core/Feed.ts"
import * as HubIdentity from "./workspace/HubIdentity.ts"
import { Ids } from "./core/Ids.ts"
import { Jobs } from "./jobs/Jobs.ts"
import { Messages } from "./messages/Messages.ts"
import { JobQueue } from "./jobs/JobQueue.ts"
import { DryRuns } from "./plugins/DryRuns.ts"
import * as PluginEvents from "./plugins/PluginEvents.ts"
import { Plugins } from "./plugins/Plugins.ts"
import { RecentRuns } from "./plugins/RecentRuns.ts"
import { Erasures } from "./retention/Erasures.ts"
import { Pruning } from "./retention/Pruning.ts"
import * as Retention from "./retention/Retention.ts"
import * as Reload from "./plugins/Reload.ts"
import * as ResultCacheStore from "./jobs/ResultCacheStore.ts"
import { SearchIndexer } from "./search/SearchIndexer.ts"
import * as Server from "./http/Server.ts"
import type { RedisUnusable } from "./plugins/SharedBreaker.ts"
import * as Secrets from "./plugins/Secrets.ts"
import { Specs } from "./plugins/Specs.ts"
import { Topics } from "./messages/Topics.ts"
import { Workspace, type WorkspaceOptions } from "./workspace/Workspace.ts"
import { WriterLock } from "./workspace/WriterLock.ts"

export { whenIdle } from "./http/IdleShutdown.ts"

export interface HubOptions
  extends Server.ServerOptions,
    Dispatcher.DispatcherOptions,
    LiveOptions,
    WorkspaceOptions {
  /** The folder that holds, or will hold, `.agentlip/`. */
  readonly workspace: string
  /** `postgres://…`: a database that several hubs can share. Default: a SQLite file in the workspace. */
  readonly database?: Redacted.Redacted
  /** `redis://…`: share the plugins' breakers with other hubs on the same server. Default: each hub has its own. */
  readonly redis?: Redacted.Redacted
  /** The plugins to run on every message. Default none. */
  readonly plugins?: ReadonlyArray<ConfiguredSpec>
  /** Reload plugins when the workspace's config file or a plugin's modules change. Default: load only at the start. */
  readonly reload?: Reload.ReloadOptions
  /** Remove old events and jobs once an hour. Default: keep everything. */
  readonly retention?: RetentionOptions
}

const breakerLayer = (redis: Redacted.Redacted | undefined): Layer.Layer<CircuitBreaker, RedisUnusable> =>
  redis === undefined
    ? CircuitBreaker.layer()
    : Layer.unwrap(
        // A hub without Redis never loads its client, which is large.
        Effect.map(
          Effect.promise(() => import("./plugins/SharedBreaker.ts")),
          (breaker) => breaker.layer(redis)
        )
      )

/**
 * Plugins in their isolates, each behind its breaker. Spare isolates are kept for the levels that the plugins use.
 * Relative paths in grants start at the workspace.
 */
export const pluginsLayer = (
  { workspace, redis, plugins = [] }: Pick<HubOptions, "workspace" | "redis" | "plugins">,
  options: Pick<WorkerOptions, "node"> = {}
) =>
  PluginRuntime.layer.pipe(
    Layer.provideMerge(breakerLayer(redis)),
    Layer.provideMerge(
      WorkerLayer.layer({
        ...options,
        // If an author saves broken code, the last good version keeps running.
        keepLastGood: true,
        prepare: [...new Set(plugins.map(({ isolation }) => isolation))],
        grantsBase: path.resolve(workspace)
      })
    )
  )

const core = (
  {
    plugins = [],
    host,
    port,
    rateLimits,
    readAuth,
    allowOrigins,
    connections,
    concurrency,
    reload,
    retention,
    ...live
  }: HubOptions,
  workers: Pick<WorkerOptions, "node"> = {}
) => {
  const storage = Layer.mergeAll(
    Ids.layer,
    Feed.layer(live).pipe(Layer.provideMerge(EventLog.layer)),
    PausedPlugins.layer,
    AuthToken.layer.pipe(Layer.provideMerge(HubIdentity.layer))
  )
  const services = Layer.mergeAll(
    Messages.layer,
    Attachments.layer,
    Jobs.layer,
    Backfills.layer,
    Pruning.layer,
    SearchIndexer.layer,
    DryRuns.layer(workers)
  ).pipe(
    Layer.provideMerge(Layer.mergeAll(Topics.layer, Erasures.layer)),
    Layer.provideMerge(Layer.mergeAll(Findings.layer, JobQueue.layer, Plugins.layer)),
    Layer.provideMerge(RecentRuns.layer)
  )
  const pipeline = Dispatcher.layer(concurrency === undefined ? {} : { concurrency })
  const server = Server.layer({
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(rateLimits === undefined ? {} : { rateLimits }),
    ...(readAuth === undefined ? {} : { readAuth }),
    ...(allowOrigins === undefined ? {} : { allowOrigins }),
    ...(connections === undefined ? {} : { connections })
  })
  return Announcement.layer.pipe(
    Layer.provideMerge(server.pipe(Layer.provideMerge(Activity.layer))),
    Layer.merge(pipeline),
    Layer.merge(PluginEvents.layer),
    Layer.merge(reload === undefined ? Layer.empty : Reload.layer(reload)),
    Layer.merge(retention === undefined ? Layer.empty : Retention.layer(retention)),
    Layer.provideMerge(services),
    Layer.provideMerge(storage),
    Layer.provideMerge(Specs.layer(plugins))
  )
}

/** Locks the workspace before it opens the database in it, and provides the secrets. */
const foundation = (options: HubOptions) =>
  Database.layer(options.database).pipe(
    Layer.provideMerge(WriterLock.layer),
    Layer.provideMerge(Workspace.layer(options.workspace, options)),
    Layer.provideMerge(Secrets.logLayer),
    Layer.provideMerge(Secrets.Secrets.layer(options.plugins))
  )

/**
 * A hub that gets its plugin runtime from outside. Building the layer opens the database, starts the server and writes
 * `.agentlip/server.json`. Closing its scope undoes this in reverse order.
 */
export const layer = (options: HubOptions) => core(options).pipe(Layer.provideMerge(foundation(options)))

/**
 * A hub with plugins in isolates. Results of plugins with `cache: true` are kept in the hub's database.
 *
 * @example
 * ```ts
 * Layer.launch(Hub.live({ workspace: ".", plugins: specs }))
 * ```
 */
export const live = (options: HubOptions, workers: Pick<WorkerOptions, "node"> = {}) =>
  core(options, workers).pipe(
    Layer.provideMerge(pluginsLayer(options, workers)),
    Layer.provide(ResultCacheStore.layer()),
    Layer.provideMerge(foundation(options))
  )
