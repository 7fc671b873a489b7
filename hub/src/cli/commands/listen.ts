/** `agentlip listen`: everything that happens, as JSON lines. */
import { printableJson } from "@agentlip/plugin-runtime/text"
import { Effect, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { connect } from "../hub/HubClient.ts"
import { writeLines } from "../render/Lines.ts"
import { follow, newest } from "../hub/Live.ts"
import { channelFlag, channelOf, topicFlag, topicIdOf } from "../flags/Names.ts"

export const listen = Command.make(
  "listen",
  {
    since: Flag.Int("since").pipe(
      Flag.withMetavar("EVENT"),
      Flag.withDescription("Begin after the event of this number; 0: with the first. Default: with the next"),
      Flag.optional
    ),
    channels: channelFlag.pipe(Flag.atLeast(0)),
    topics: topicFlag.pipe(Flag.atLeast(0))
  },
  Effect.fnUntraced(function* ({ since, channels, topics }) {
    const hub = yield* connect
    const ids = {
      channels: yield* Effect.forEach(channels, (channel) =>
        Effect.map(channelOf(hub, channel), ({ id }) => id)
      ),
      topics: yield* Effect.forEach(topics, (topic) => topicIdOf(hub, topic))
    }
    const everything = channels.length === 0 && topics.length === 0
    const after = Option.isSome(since) ? since.value : yield* newest(hub)
    yield* writeLines(
      Stream.map(follow(hub, after, everything ? undefined : ids), ({ text }) => printableJson(text))
    )
  })
).pipe(
  Command.withDescription(
    "Print events as JSON lines, until Ctrl-C. When the hub stops, it waits for it and goes on with the " +
      "next event"
  ),
  Command.withExamples([
    { command: "agentlip listen --since 0 | jq -r .name", description: "All that ever happened" },
    { command: "agentlip listen --channel general", description: "What happens in one channel" }
  ])
)
