/** `agentlip msg list` */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { CommandError } from "../../CommandError.ts"
import { channelFlag, channelOf, topicArgument, topicIdOf } from "../../flags/Names.ts"
import { limitFlag } from "../../flags/Page.ts"
import { readFlags } from "../../flags/ReadFlags.ts"
import { messagesOf } from "../../hub/messagesOf.ts"
import { reader } from "../../hub/reader.ts"
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
      Flag.withDescription("Only messages after this one, by its id: those that follow it"),
      Flag.optional
    ),
    ...readFlags
  },
  Effect.fnUntraced(function* ({ topic, channel, limit, before, after, ...options }) {
    if (Option.isNone(topic) && Option.isNone(channel)) {
      return yield* new CommandError({ reason: "Pass a TOPIC or --channel CHANNEL", code: "USAGE" })
    }
    const hub = yield* reader(options)
    const scope = {
      topic_id: Option.isSome(topic) ? yield* topicIdOf(hub, topic.value) : undefined,
      channel_id: Option.isSome(channel) ? (yield* channelOf(hub, channel.value)).id : undefined
    }
    const { messages, has_more } = yield* messagesOf(hub, scope, limit, {
      before: Option.getOrUndefined(before),
      after: Option.getOrUndefined(after)
    })
    const isForward = Option.isSome(after) && Option.isNone(before)
    const more = isForward ? `--after ${messages.at(0)?.id}` : `--before ${messages.at(-1)?.id}`
    yield* show({ messages, has_more, ...pageOf(messages, has_more) }, () => [
      ...table(
        ["ID", "VERSION", "CREATED", "SENDER", "CONTENT"],
        messages.map(({ id, version, created_at, sender, content_raw }) => [
          id,
          version,
          created_at,
          sender,
          content_raw
        ])
      ),
      ...(has_more ? [`… more with ${more}`] : [])
    ])
  })
).pipe(
  Command.withDescription("List the messages of a topic or a channel, newest first"),
  Command.withExamples([
    { command: "agentlip msg list general/hello" },
    { command: "agentlip msg list --channel general --limit 5" }
  ])
)
