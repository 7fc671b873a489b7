/** `agentlip backfill`: runs plugins on old messages again, and shows the progress. */
import { printableLine } from "@agentlip/plugin-runtime/text"
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import type { Backfill } from "@agentlip/protocol"
import { Json } from "../flags/Globals.ts"
import { connect, type HubClient } from "../hub/HubClient.ts"
import { counted } from "../render/counted.ts"
import { show } from "../render/Output.ts"
import { makeProgress } from "../render/Progress.ts"

const lookEvery = "250 millis"
const percentOf = ({ done, total }: Backfill): number =>
  total === 0 ? 100 : Math.floor((100 * done) / total)

const follow = Effect.fnUntraced(function* (hub: HubClient, begun: Backfill) {
  const progress = makeProgress()
  let backfill = begun
  yield* Effect.gen(function* () {
    while (backfill.state === "running") {
      progress.at(percentOf(backfill), counted(backfill.jobs, "job"))
      yield* Effect.sleep(lookEvery)
      const { id } = backfill
      const answer = yield* hub.ask((api) => api.operationReads.backfill({ params: { id } }))
      backfill = answer.backfill
    }
    progress.at(percentOf(backfill), counted(backfill.jobs, "job"))
  }).pipe(Effect.ensuring(Effect.sync(progress.end)))
  return backfill
})

export const backfill = Command.make(
  "backfill",
  {
    plugin: Flag.String("plugin").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Only this plugin. Default: every plugin of the config file"),
      Flag.optional
    ),
    since: Flag.Int("since").pipe(
      Flag.withMetavar("EVENT"),
      Flag.withDescription("Only messages written or edited after this event. Default: all"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ plugin, since }) {
    const hub = yield* connect
    const begun = yield* hub.ask((api) =>
      api.operations.beginBackfill({
        payload: {
          ...(Option.isSome(plugin) ? { plugin: plugin.value } : {}),
          ...(Option.isSome(since) ? { since_event: since.value } : {})
        }
      })
    )
    const { id } = begun.backfill
    if (begun.resumed && !(yield* Json)) yield* Console.error("Continuing the backfill that was paused.")
    const pause = hub
      .ask((api) => api.operations.pauseBackfill({ params: { id } }))
      .pipe(
        Effect.andThen(Console.error("Paused. Run the same command to continue.")),
        // Do not delay the exit: the backfill then continues without being watched.
        Effect.catch(({ message }) =>
          Console.error(`It could not be paused and continues: ${printableLine(message)}`)
        )
      )
    const ended = yield* Effect.onInterrupt(follow(hub, begun.backfill), () => pause)
    yield* show(ended, () =>
      ended.state === "done"
        ? `Done: ${counted(ended.jobs, "job")}.`
        : "Another client paused it. Run the same command to continue."
    )
  })
).pipe(
  Command.withDescription(
    "Run plugins on the messages that exist, and show the progress. Ctrl-C pauses; the same command continues"
  ),
  Command.withExamples([
    { command: "agentlip backfill --plugin hashtags", description: "One plugin, all messages" },
    { command: "agentlip backfill --since 1200", description: "All plugins, newer messages only" }
  ])
)
