/** What clients learn of a plugin and its runs. Runs of deleted messages say nothing that may quote the text. */
import type { NotFound, PluginDetails, PluginRun } from "@agentlip/protocol"
import { Context, Effect, Layer } from "effect"
import { Messages } from "../messages/Messages.ts"
import { Outage } from "../database/Outage.ts"
import { Plugins } from "../plugins/Plugins.ts"
import { RecentRuns } from "../plugins/RecentRuns.ts"

/** How long the texts of a plugin's runs wait for the database. */
const patience = "3 seconds"

export class ShownPlugins extends Context.Service<
  ShownPlugins,
  {
    /** Without `last_errors` while the database fails: an operator needs the rest most of all then. */
    readonly details: (name: string) => Effect.Effect<{ readonly plugin: PluginDetails }, NotFound>
    /** Without logs, and with the codes of errors only, while the database fails. */
    readonly runs: (name: string) => Effect.Effect<{ readonly runs: ReadonlyArray<PluginRun> }, NotFound>
  }
>()("@agentlip/hub/ShownPlugins") {
  static readonly layer: Layer.Layer<ShownPlugins, never, Messages | Plugins | RecentRuns> = Layer.effect(
    ShownPlugins,
    Effect.gen(function* () {
      const messages = yield* Messages
      const plugins = yield* Plugins
      const recent = yield* RecentRuns
      const outage = new Outage({
        begun:
          "what plugins logged and why they failed is not shown: the database does not say which messages are deleted",
        ended: "what plugins logged and why they failed is shown again"
      })
      const undeleted = (ids: ReadonlyArray<string>) => Effect.tap(messages.undeleted(ids), outage.over)
      /** What is shown while the database fails or does not answer. */
      const orElse =
        <B>(without: () => B) =>
        <A, E>(shown: Effect.Effect<A, E>): Effect.Effect<A | B> =>
          shown.pipe(
            Effect.timeout(patience),
            Effect.catch((error) => Effect.as(outage.log(error), without()))
          )
      return ShownPlugins.of({
        details: (name) =>
          plugins.specOf(name).pipe(
            Effect.andThen(orElse(() => [])(recent.errorsOf(name, undeleted))),
            Effect.flatMap((errors) => plugins.get(name, errors)),
            Effect.map((plugin) => ({ plugin }))
          ),
        runs: (name) =>
          plugins.specOf(name).pipe(
            Effect.andThen(orElse(() => recent.withoutTexts(name))(recent.of(name, undeleted))),
            Effect.map((runs) => ({ runs }))
          )
      })
    })
  )
}
