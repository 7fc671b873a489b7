/** `agentlip channel create` */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"

export const channelCreate = Command.make(
  "create",
  {
    name: Argument.String("NAME").pipe(
      Argument.withDescription("1 to 100 characters; no other channel may have the name")
    ),
    description: Flag.String("description").pipe(
      Flag.withAlias("d"),
      Flag.withMetavar("TEXT"),
      Flag.withDescription("What the channel is for. Default: none"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ name, description }) {
    const { ask } = yield* connect
    const payload = { name, description: Option.getOrUndefined(description) }
    const answer = yield* ask((api) => api.writes.createChannel({ payload }))
    yield* show(answer, () => answer.channel.id)
  })
).pipe(
  Command.withDescription("Create a channel and print its id"),
  Command.withExamples([{ command: "agentlip channel create general -d 'Everything else'" }])
)
