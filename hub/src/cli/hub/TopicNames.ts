/** Finds the names of topics for display. */
import { Effect } from "effect"
import type { Channel, LiveEvent } from "@agentlip/protocol"
import { channelsOf, topicsOf } from "../flags/Names.ts"
import type { HubClient } from "./HubClient.ts"

/**
 * Returns the name of an event's topic or channel, such as `general/hello`, or its id if the hub no longer knows it.
 * A channel's topics are listed once, and again when one of them is new or renamed.
 */
export const makeTopicNames = (hub: HubClient) => {
  const channels = new Map<string, Channel>()
  const titles = new Map<string, string>()
  return Effect.fnUntraced(
    function* ({ name, scope: { channel_id, topic_id } }: LiveEvent) {
      if (channel_id === null) return ""
      if (!channels.has(channel_id))
        for (const channel of yield* channelsOf(hub)) channels.set(channel.id, channel)
      const channel = channels.get(channel_id)
      if (topic_id === null) return channel?.name ?? channel_id
      if (channel !== undefined && (!titles.has(topic_id) || name === "topic.renamed")) {
        // A topic that is not listed is shown by its id, and not looked for again.
        titles.set(topic_id, topic_id)
        for (const { id, title } of yield* topicsOf(hub, channel)) titles.set(id, title)
      }
      return `${channel?.name ?? channel_id}/${titles.get(topic_id) ?? topic_id}`
    },
    // Fall back to the id: a missing name must not end the stream of events.
    (name, { scope }) => Effect.orElseSucceed(name, () => scope.topic_id ?? scope.channel_id ?? "")
  )
}
