/** `agentlip topic list` */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { channelArgument, channelOf } from "../../flags/Names.ts"
import { limitFlag } from "../../flags/Page.ts"
import { connect } from "../../hub/HubClient.ts"
import { pageOf, show, table } from "../../render/Output.ts"

export const topicList = Command.make(
  "list",
  {
    channel: channelArgument,
    limit: limitFlag(50),
    offset: Flag.Int("offset").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("How many to skip first. Default: 0"),
      Flag.withDefault(0)
    )
  },
  Effect.fnUntraced(function* ({ channel, limit, offset }) {
    const hub = yield* connect
    const { id } = yield* channelOf(hub, channel)
    const answer = yield* hub.ask((api) => api.reads.topics({ params: { id }, query: { limit, offset } }))
    yield* show({ ...answer, ...pageOf(answer.topics, answer) }, () => [
      ...table(
        ["ID", "UPDATED", "TITLE"],
        answer.topics.map(({ id, updated_at, title }) => [id, updated_at, title])
      ),
      ...(answer.has_more ? [`… more with --offset ${offset + answer.topics.length}`] : [])
    ])
  })
).pipe(
  Command.withDescription("List the topics of a channel"),
  Command.withExamples([{ command: "agentlip topic list general --limit 10" }])
)
