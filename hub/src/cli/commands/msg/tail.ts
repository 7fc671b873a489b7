/** `agentlip msg tail`: a topic as it is talked in. */
import { printableLine, printable } from "@agentlip/plugin-runtime/text"
import { Effect, Schema, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { Message } from "@agentlip/protocol"
import { Json } from "../../flags/Globals.ts"
import { connect } from "../../hub/HubClient.ts"
import { writeLines } from "../../render/Lines.ts"
import { jsonText } from "../../render/Output.ts"
import { follow, type LiveEvent, newest } from "../../hub/Live.ts"
import { topicArgument, topicIdOf } from "../../flags/Names.ts"

const Created = Schema.Struct({ message: Message })
const isCreated = Schema.is(Created)

const postedIn =
  (topic: string) =>
  ({ name, data }: LiveEvent): ReadonlyArray<Message> =>
    name === "message.created" && isCreated(data) && data.message.topic_id === topic ? [data.message] : []

/** Further lines of a message are below its first. */
const asText = ({ created_at, sender, content_raw }: Message): string =>
  `${created_at} ${printableLine(sender)}: ${printable(content_raw.replaceAll("\r\n", "\n")).replaceAll("\n", "\n  ")}`

export const tail = Command.make(
  "tail",
  {
    topic: topicArgument,
    limit: Flag.Int("limit").pipe(
      Flag.withAlias("n"),
      Flag.withDescription("How many of those that are there, 1 to 1000"),
      Flag.withDefault(10)
    )
  },
  Effect.fnUntraced(function* ({ topic, limit }) {
    const hub = yield* connect
    const json = yield* Json
    const topic_id = yield* topicIdOf(hub, topic)
    const after = yield* newest(hub)
    const { messages } = yield* hub.ask((api) => api.reads.messages({ query: { topic_id, limit } }))
    // Posted after the number was read and before the list was: they are in both.
    const shown = new Set(messages.map(({ id }) => id))
    const posted = follow(hub, after, { topics: [topic_id] }).pipe(
      Stream.flatMap((event) => Stream.fromIterable(postedIn(topic_id)(event))),
      Stream.filter(({ id }) => !shown.has(id))
    )
    yield* Stream.fromIterable(messages.toReversed()).pipe(
      Stream.concat(posted),
      Stream.map((message) => (json ? jsonText(message) : asText(message))),
      writeLines
    )
  })
).pipe(Command.withDescription("Print the newest messages of a topic, then new ones as they come"))
