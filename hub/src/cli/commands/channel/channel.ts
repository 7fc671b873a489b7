/** `agentlip channel`: what topics are in. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { connect } from "../../hub/HubClient.ts"
import { channelsOf } from "../../flags/Names.ts"
import { show, table } from "../../render/Output.ts"

const list = Command.make("list", {}, () =>
  Effect.gen(function* () {
    const channels = yield* channelsOf(yield* connect)
    yield* show({ channels }, () =>
      table(
        ["ID", "NAME", "CREATED", "DESCRIPTION"],
        channels.map(({ id, name, created_at, description }) => [id, name, created_at, description])
      )
    )
  })
).pipe(Command.withDescription("List the channels"))

const create = Command.make(
  "create",
  {
    name: Argument.String("NAME").pipe(
      Argument.withDescription("1 to 100 characters, not of another channel")
    ),
    description: Flag.String("description").pipe(
      Flag.withAlias("d"),
      Flag.withDescription("What it is for"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ name, description }) {
    const { ask } = yield* connect
    const payload = { name, description: Option.getOrUndefined(description) }
    const answer = yield* ask((api) => api.writes.createChannel({ payload }))
    yield* show(answer, () => answer.channel.id)
  })
).pipe(Command.withDescription("Make a channel; prints its id"))

export const channel = Command.make("channel").pipe(
  Command.withDescription("Channels, which hold topics"),
  Command.withSubcommands([list, create])
)
