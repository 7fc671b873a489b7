/** `agentlip topic list` */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { channelArgument, channelOf, topicsPage } from "../../flags/Names.ts"
import { limitFlag } from "../../flags/Page.ts"
import { readFlags } from "../../flags/ReadFlags.ts"
import { reader } from "../../hub/reader.ts"
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
    ),
    ...readFlags
  },
  Effect.fnUntraced(function* ({ channel, limit, offset, ...options }) {
    const hub = yield* reader(options)
    const { id } = yield* channelOf(hub, channel)
    const { rows: topics, has_more } = yield* topicsPage(hub, id, limit, offset)
    yield* show({ topics, has_more, ...pageOf(topics, has_more) }, () => [
      ...table(
        ["ID", "UPDATED", "TITLE"],
        topics.map(({ id, updated_at, title }) => [id, updated_at, title])
      ),
      ...(has_more ? [`… more with --offset ${offset + topics.length}`] : [])
    ])
  })
).pipe(
  Command.withDescription("List the topics of a channel"),
  Command.withExamples([{ command: "agentlip topic list general --limit 10" }])
)
