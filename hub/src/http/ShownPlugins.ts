/** What clients learn of a plugin and its runs. Runs of deleted messages say nothing that may quote the text. */
import type { NotFound, PluginDetails, PluginRun } from "@agentlip/protocol"
import { Context, Effect, Layer } from "effect"
import { Messages } from "../messages/Messages.ts"
import { Outage } from "../database/Outage.ts"
import { storageIsDefect } from "../database/StorageFailure.ts"
import { Plugins } from "../plugins/Plugins.ts"
import { RecentRuns } from "../plugins/RecentRuns.ts"

/** How long the details of a plugin wait for the database. */
const patience = "3 seconds"

export class ShownPlugins extends Context.Service<
  ShownPlugins,
  {
    /** Without `last_errors` while the database fails: an operator needs the rest most of all then. */
    readonly details: (name: string) => Effect.Effect<{ readonly plugin: PluginDetails }, NotFound>
    readonly runs: (name: string) => Effect.Effect<{ readonly runs: ReadonlyArray<PluginRun> }, NotFound>
  }
>()("@agentlip/hub/ShownPlugins") {
  static readonly layer: Layer.Layer<ShownPlugins, never, Messages | Plugins | RecentRuns> = Layer.effect(
    ShownPlugins,
    Effect.gen(function* () {
      const { undeleted } = yield* Messages
      const plugins = yield* Plugins
      const recent = yield* RecentRuns
      const outage = new Outage({
        begun:
          "the last errors of plugins are not shown: the database does not say which messages are deleted",
        ended: "the last errors of plugins are shown again"
      })
      const lastErrors = (plugin: string) =>
        recent
          .errorsOf(plugin, (messageIds) => Effect.tap(undeleted(messageIds), outage.over))
          .pipe(
            Effect.timeout(patience),
            Effect.catch((error) => Effect.as(outage.log(error), []))
          )
      return ShownPlugins.of({
        details: (name) =>
          plugins.specOf(name).pipe(
            Effect.andThen(lastErrors(name)),
            Effect.flatMap((errors) => plugins.get(name, errors)),
            Effect.map((plugin) => ({ plugin }))
          ),
        runs: (name) =>
          plugins.specOf(name).pipe(
            Effect.andThen(recent.of(name, undeleted)),
            Effect.map((runs) => ({ runs })),
            storageIsDefect
          )
      })
    })
  )
}
