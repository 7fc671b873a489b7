/** `agentlip topic`: what messages are in. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { connect } from "../../hub/HubClient.ts"
import { channelArgument, channelOf, topicArgument, topicIdOf } from "../../flags/Names.ts"
import { show, table } from "../../render/Output.ts"

const title = Argument.String("TITLE").pipe(
  Argument.withDescription("1 to 200 characters, not of another topic of the channel")
)

const list = Command.make(
  "list",
  {
    channel: channelArgument,
    limit: Flag.Int("limit").pipe(
      Flag.withAlias("n"),
      Flag.withDescription("How many at most, 1 to 1000"),
      Flag.withDefault(50)
    ),
    offset: Flag.Int("offset").pipe(Flag.withDescription("How many to pass over first"), Flag.withDefault(0))
  },
  Effect.fnUntraced(function* ({ channel, limit, offset }) {
    const hub = yield* connect
    const { id } = yield* channelOf(hub, channel)
    const answer = yield* hub.ask((api) => api.reads.topics({ params: { id }, query: { limit, offset } }))
    yield* show(answer, () => [
      ...table(
        ["ID", "UPDATED", "TITLE"],
        answer.topics.map(({ id, updated_at, title }) => [id, updated_at, title])
      ),
      ...(answer.has_more ? [`… more with --offset ${offset + answer.topics.length}`] : [])
    ])
  })
).pipe(Command.withDescription("List the topics of a channel"))

const create = Command.make(
  "create",
  { channel: channelArgument, title },
  Effect.fnUntraced(function* ({ channel, title }) {
    const hub = yield* connect
    const { id: channel_id } = yield* channelOf(hub, channel)
    const answer = yield* hub.ask((api) => api.writes.createTopic({ payload: { channel_id, title } }))
    yield* show(answer, () => answer.topic.id)
  })
).pipe(Command.withDescription("Make a topic in a channel; prints its id"))

const rename = Command.make(
  "rename",
  { topic: topicArgument, title },
  Effect.fnUntraced(function* ({ topic, title }) {
    const hub = yield* connect
    const id = yield* topicIdOf(hub, topic)
    const answer = yield* hub.ask((api) => api.writes.renameTopic({ params: { id }, payload: { title } }))
    yield* show(answer, () => answer.topic.id)
  })
).pipe(Command.withDescription("Give a topic another title"))

export const topic = Command.make("topic").pipe(
  Command.withDescription("Topics, which hold messages"),
  Command.withSubcommands([list, create, rename])
)
