/** `agentlip listen` */
import { Effect, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { CommandError } from "../CommandError.ts"
import { Json } from "../flags/Globals.ts"
import { channelFlag, channelOf, topicArgument, topicIdOf } from "../flags/Names.ts"
import * as Stop from "../Stop.ts"
import { connect } from "../hub/HubClient.ts"
import { follow, newest } from "../hub/Live.ts"
import { makeTopicNames } from "../hub/TopicNames.ts"
import { eventLine } from "../render/EventLine.ts"
import { writeLines } from "../render/Lines.ts"
import { jsonText } from "../render/Output.ts"

const eventNumber = (given: string) =>
  /^\d{1,15}$/.test(given)
    ? Effect.succeed(Number(given))
    : Effect.fail(
        new CommandError({
          reason: `--since takes the number of an event, or now; not ${JSON.stringify(given)}`,
          code: "USAGE"
        })
      )

export const listen = Command.make(
  "listen",
  {
    topics: topicArgument.pipe(Argument.variadic()),
    channels: channelFlag.pipe(
      Flag.withDescription("Also events of this channel; may be repeated. Default without TOPIC: everything"),
      Flag.atLeast(0)
    ),
    since: Flag.String("since").pipe(
      Flag.withMetavar("EVENT"),
      Flag.withDescription(
        "Start after the event with this number, or with the next event: now. Default: 0, the first event"
      ),
      Flag.withDefault("0")
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
    const after = since === "now" ? yield* newest(hub) : yield* eventNumber(since)
    const names = makeTopicNames(hub)
    yield* follow(hub, after, everything ? undefined : ids).pipe(
      Stream.mapEffect((event) =>
        isText
          ? Effect.map(names(event), (topic) => eventLine(event, topic))
          : Effect.succeed(jsonText(event))
      ),
      writeLines
    )
  }, Stop.isServing)
).pipe(
  Command.withDescription(
    "Print events as they happen, until Ctrl-C. If the hub stops, waits for it and continues with the next event"
  ),
  Command.withExamples([
    { command: "agentlip listen", description: "Read all events, then follow new ones" },
    { command: "agentlip listen general/hello --since now", description: "Follow one topic" },
    { command: "agentlip listen --json | jq -r .name" }
  ])
)
