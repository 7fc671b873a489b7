/** `agentlip job retry` */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { pluginFlag } from "../../flags/PluginName.ts"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"

export const jobRetry = Command.make(
  "retry",
  {
    plugin: pluginFlag("Only jobs of this plugin", "all plugins"),
    message: Flag.String("message").pipe(
      Flag.withMetavar("MESSAGE"),
      Flag.withDescription("Only jobs of this message, by its id. Default: all messages"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ plugin, message }) {
    const hub = yield* connect
    const answer = yield* hub.ask((api) =>
      api.operations.retry({
        payload: {
          ...(Option.isSome(plugin) ? { plugin: plugin.value } : {}),
          ...(Option.isSome(message) ? { message_id: message.value } : {})
        }
      })
    )
    yield* show(answer, () => [
      `Retrying ${answer.retried} failed ${answer.retried === 1 ? "job" : "jobs"}.`,
      ...(answer.more ? ["There are more: run the same command again when these are done."] : [])
    ])
  })
).pipe(
  Command.withDescription("Retry failed jobs whose message has not changed"),
  Command.withExamples([{ command: "agentlip job retry --plugin hashtags" }])
)
