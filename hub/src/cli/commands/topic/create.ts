/** `agentlip topic create` */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { channelArgument, channelOf, titleArgument } from "../../flags/Names.ts"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"

export const topicCreate = Command.make(
  "create",
  { channel: channelArgument, title: titleArgument },
  Effect.fnUntraced(function* ({ channel, title }) {
    const hub = yield* connect
    const { id: channel_id } = yield* channelOf(hub, channel)
    const answer = yield* hub.ask((api) => api.writes.createTopic({ payload: { channel_id, title } }))
    yield* show(answer, () => answer.topic.id)
  })
).pipe(
  Command.withDescription("Create a topic in a channel and print its id"),
  Command.withExamples([{ command: "agentlip topic create general hello" }])
)
