/** `agentlip listen` */
import { Effect, Option, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Json } from "../flags/Globals.ts"
import { channelFlag, channelOf, topicArgument, topicIdOf } from "../flags/Names.ts"
import { connect } from "../hub/HubClient.ts"
import { follow, newest } from "../hub/Live.ts"
import { makeTopicNames } from "../hub/TopicNames.ts"
import { eventLine } from "../render/EventLine.ts"
import { writeLines } from "../render/Lines.ts"
import { jsonText } from "../render/Output.ts"

export const listen = Command.make(
  "listen",
  {
    topics: topicArgument.pipe(Argument.variadic()),
    channels: channelFlag.pipe(
      Flag.withDescription("Also events of this channel; may be repeated. Default without TOPIC: everything"),
      Flag.atLeast(0)
    ),
    since: Flag.Int("since").pipe(
      Flag.withMetavar("EVENT"),
      Flag.withDescription(
        "Start after the event with this number; 0: with the first one. Default: the next event"
      ),
      Flag.optional
    ),
    text: Flag.Boolean("text").pipe(
      Flag.withDescription("Print text for people. Default: text in a terminal, JSON lines elsewhere"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ since, channels, topics, text: asText }) {
    const hub = yield* connect
    const isText = !(yield* Json) && (asText || process.stdout.isTTY)
    const ids = {
      channels: yield* Effect.forEach(channels, (channel) =>
        Effect.map(channelOf(hub, channel), ({ id }) => id)
      ),
      topics: yield* Effect.forEach(topics, (topic) => topicIdOf(hub, topic))
    }
    const everything = channels.length === 0 && topics.length === 0
    const after = Option.isSome(since) ? since.value : yield* newest(hub)
    const names = makeTopicNames(hub)
    yield* follow(hub, after, everything ? undefined : ids).pipe(
      Stream.mapEffect((event) =>
        isText
          ? Effect.map(names(event), (topic) => eventLine(event, topic))
          : Effect.succeed(jsonText(event))
      ),
      writeLines
    )
  })
).pipe(
  Command.withDescription(
    "Print events as they happen, until Ctrl-C. If the hub stops, waits for it and continues with the next event"
  ),
  Command.withExamples([
    { command: "agentlip listen", description: "Follow everything" },
    { command: "agentlip listen general/hello", description: "Follow one topic" },
    {
      command: "agentlip listen --since 0 --json | jq -r .name",
      description: "Read all events from the first"
    }
  ])
)
