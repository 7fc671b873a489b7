/** What clients learn of a plugin and its runs. Runs of deleted messages say nothing that may quote the text. */
import { Effect } from "effect"
import { Messages } from "../messages/Messages.ts"
import { storageIsDefect } from "../database/StorageFailure.ts"
import { Plugins } from "../plugins/Plugins.ts"
import { RecentRuns } from "../plugins/RecentRuns.ts"

export const makePluginDetails = Effect.gen(function* () {
  const messages = yield* Messages
  const plugins = yield* Plugins
  const recent = yield* RecentRuns
  const undeletedOf = (plugin: string) => Effect.suspend(() => messages.undeleted(recent.messagesOf(plugin)))
  return {
    details: (name: string) =>
      undeletedOf(name).pipe(
        Effect.flatMap((undeleted) => plugins.get(name, recent.errorsOf(name, undeleted))),
        Effect.map((plugin) => ({ plugin })),
        storageIsDefect
      ),
    runs: (name: string) =>
      plugins.get(name).pipe(
        Effect.andThen(undeletedOf(name)),
        Effect.map((undeleted) => ({ runs: recent.of(name, undeleted) })),
        storageIsDefect
      )
  }
})
