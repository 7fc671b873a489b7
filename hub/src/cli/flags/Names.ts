/** Finds channels, topics and messages by the names that people type. */
import { Effect, Result } from "effect"
import { Argument, Flag } from "effect/cli"
import { CommandError } from "../CommandError.ts"
import type { HubClient } from "../hub/HubClient.ts"
import { collect, collectAll } from "../hub/pages.ts"
import type { HubReader } from "../hub/HubReader.ts"
import type { Channel, Topic } from "@agentlip/protocol"

export const channelArgument = Argument.String("CHANNEL").pipe(
  Argument.withDescription("A channel, by its name or its id")
)

export const topicArgument = Argument.String("TOPIC").pipe(
  Argument.withDescription("A topic, as channel/title or by its id")
)

export const channelFlag = Flag.String("channel").pipe(
  Flag.withMetavar("CHANNEL"),
  Flag.withDescription("A channel, by its name or its id")
)

export const titleArgument = Argument.String("TITLE").pipe(
  Argument.withDescription("1 to 200 characters; no other topic of the channel may have the title")
)

export const messageArgument = Argument.String("MESSAGE").pipe(
  Argument.withDescription("A message, by its id")
)

const unknown = (what: string, given: string, remedy: string): CommandError =>
  new CommandError({
    reason: `There is no ${what} ${JSON.stringify(given)}; ${remedy}`,
    code: "NOT_FOUND"
  })

export const channelsOf = ({ ask }: HubReader) =>
  collectAll<Channel, CommandError, never>((limit, channels) =>
    Effect.map(
      ask((api) => api.reads.channels({ query: { limit, after_id: channels.at(-1)?.id } })),
      ({ channels, has_more }) => ({ rows: channels, has_more })
    )
  )

/** Finds a channel by id or name. The id wins, so that a channel named like another's id cannot replace it. */
export const channelOf = Effect.fnUntraced(function* (hub: HubReader, given: string) {
  const all = yield* channelsOf(hub)
  const found = all.find(({ id }) => id === given) ?? all.find(({ name }) => name === given)
  return found ?? (yield* unknown("channel", given, "agentlip channel list shows all channels"))
})

/** The topics of a channel, after the first `offset`. */
export const topicsPage = ({ ask }: HubReader, id: string, limit: number, offset: number) =>
  collect<Topic, CommandError, never>(limit, (limit, topics) =>
    Effect.map(
      ask((api) => api.reads.topics({ params: { id }, query: { limit, offset: offset + topics.length } })),
      ({ topics, has_more }) => ({ rows: topics, has_more })
    )
  )

/** All topics of a channel. Activity between two pages moves a topic from one to the next, so it may come twice. */
export const topicsOf = (hub: HubReader, { id }: Channel) =>
  Effect.map(topicsPage(hub, id, Number.POSITIVE_INFINITY, 0), ({ rows }) => [
    ...new Map(rows.map((topic) => [topic.id, topic])).values()
  ])

/** The id of a topic. Names may contain slashes, so it tries every channel whose name fits the start. */
export const topicIdOf = Effect.fnUntraced(function* (hub: HubReader, given: string) {
  // Without a slash it is an id; the hub checks it.
  if (!given.includes("/")) return given
  for (const channel of yield* channelsOf(hub)) {
    if (!given.startsWith(`${channel.name}/`)) continue
    const title = given.slice(channel.name.length + 1)
    const found = (yield* topicsOf(hub, channel)).find((topic) => topic.title === title)
    if (found !== undefined) return found.id
  }
  return yield* unknown("topic", given, "agentlip topic list CHANNEL shows the topics of a channel")
})

/** The id of a topic. Creates the topic and its channel if they are missing. */
export const createdTopicIdOf = Effect.fnUntraced(function* (hub: HubClient, given: string) {
  const found = yield* Effect.result(topicIdOf(hub, given))
  if (Result.isSuccess(found)) return found.success
  const slash = given.indexOf("/")
  if (slash <= 0) return yield* found.failure
  const name = given.slice(0, slash)
  const title = given.slice(slash + 1)
  // If another process creates the same name at this moment, the second lookup finds it.
  const channel = yield* channelOf(hub, name).pipe(
    Effect.catch(() =>
      hub
        .ask((api) => api.writes.createChannel({ payload: { name } }))
        .pipe(
          Effect.map(({ channel }) => channel),
          Effect.catch(() => channelOf(hub, name))
        )
    )
  )
  return yield* hub
    .ask((api) => api.writes.createTopic({ payload: { channel_id: channel.id, title } }))
    .pipe(
      Effect.map(({ topic }) => topic.id),
      Effect.catch(() => topicIdOf(hub, given))
    )
})
