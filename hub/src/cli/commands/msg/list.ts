/** `agentlip msg list` */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { CommandError } from "../../CommandError.ts"
import { channelFlag, channelOf, topicArgument, topicIdOf } from "../../flags/Names.ts"
import { limitFlag } from "../../flags/Page.ts"
import { connect } from "../../hub/HubClient.ts"
import { pageOf, show, table } from "../../render/Output.ts"

export const msgList = Command.make(
  "list",
  {
    topic: Argument.optional(topicArgument),
    channel: Flag.optional(channelFlag),
    limit: limitFlag(50),
    before: Flag.String("before").pipe(
      Flag.withMetavar("MESSAGE"),
      Flag.withDescription("Only messages before this one, by its id"),
      Flag.optional
    ),
    after: Flag.String("after").pipe(
      Flag.withMetavar("MESSAGE"),
      Flag.withDescription("Only messages after this one, by its id"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ topic, channel, limit, before, after }) {
    if (Option.isNone(topic) && Option.isNone(channel)) {
      return yield* new CommandError({ reason: "Pass a TOPIC or --channel CHANNEL", code: "USAGE" })
    }
    const hub = yield* connect
    const query = {
      topic_id: Option.isSome(topic) ? yield* topicIdOf(hub, topic.value) : undefined,
      channel_id: Option.isSome(channel) ? (yield* channelOf(hub, channel.value)).id : undefined,
      limit,
      before_id: Option.getOrUndefined(before),
      after_id: Option.getOrUndefined(after)
    }
    const answer = yield* hub.ask((api) => api.reads.messages({ query }))
    yield* show({ ...answer, ...pageOf(answer.messages, answer) }, () => [
      ...table(
        ["ID", "VERSION", "CREATED", "SENDER", "CONTENT"],
        answer.messages.map(({ id, version, created_at, sender, content_raw }) => [
          id,
          version,
          created_at,
          sender,
          content_raw
        ])
      ),
      ...(answer.has_more ? [`… more with --before ${answer.messages.at(-1)?.id}`] : [])
    ])
  })
).pipe(
  Command.withDescription("List the messages of a topic or a channel, newest first"),
  Command.withExamples([
    { command: "agentlip msg list general/hello" },
    { command: "agentlip msg list --channel general --limit 5" }
  ])
)
