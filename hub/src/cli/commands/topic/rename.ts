/** `agentlip topic rename` */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { titleArgument, topicArgument, topicIdOf } from "../../flags/Names.ts"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"

export const topicRename = Command.make(
  "rename",
  { topic: topicArgument, title: titleArgument },
  Effect.fnUntraced(function* ({ topic, title }) {
    const hub = yield* connect
    const id = yield* topicIdOf(hub, topic)
    const answer = yield* hub.ask((api) => api.writes.renameTopic({ params: { id }, payload: { title } }))
    yield* show(answer, () => answer.topic.id)
  })
).pipe(
  Command.withDescription("Change the title of a topic"),
  Command.withExamples([{ command: "agentlip topic rename general/hello welcome" }])
)
