/**
 * Everything that happens in a hub is an event. Each event has one schema, which tells its name and the shape of its
 * data; `AgentlipEvent` is the union of them all, told apart by `name`.
 *
 * On the wire an event has two forms: in pages of `GET /api/v1/events` its data is called `data_json` (`HubEvent`); over
 * the WebSocket and in server-sent events it is called `data` (`LiveEvent`).
 */
import { Option, Schema } from "effect"
import { Attachment, Channel, Enrichment, JsonObject, Message, Topic } from "./Entities.ts"

/** The channel and topics that an event belongs to; `topic_id2` is the topic that a message was moved to. */
export const EventScope = Schema.Struct({
  channel_id: Schema.NullOr(Schema.String),
  topic_id: Schema.NullOr(Schema.String),
  topic_id2: Schema.NullOr(Schema.String)
})
export type EventScope = typeof EventScope.Type

/** What an event is about. */
export const EventEntity = Schema.Struct({ type: Schema.String, id: Schema.String })

const envelope = {
  /** Rises with each event, in the order of the commits. */
  event_id: Schema.Int,
  ts: Schema.String,
  scope: EventScope,
  entity: EventEntity
}

const event = <const Name extends string, Fields extends Schema.Struct.Fields>(
  name: Name,
  description: string,
  data: Fields
) =>
  Schema.Struct({ ...envelope, name: Schema.Literal(name), data: Schema.Struct(data) }).annotate({
    identifier: name,
    description
  })

const plugin_name = Schema.String
const ofJob = { message_id: Schema.String, plugin_name, content_version: Schema.Int }

/** Every event, told apart by its `name`. Has `match`, `guards` and `cases` by name. */
export const AgentlipEvent = Schema.Union([
  event("channel.created", "A channel was created.", { channel: Channel }),
  event("topic.created", "A topic was created.", { topic: Topic }),
  event("topic.renamed", "A topic was renamed.", {
    topic_id: Schema.String,
    old_title: Schema.String,
    new_title: Schema.String
  }),
  event("message.created", "A message was posted.", { message: Message }),
  event("message.edited", "A message was edited.", {
    message_id: Schema.String,
    old_content: Schema.String,
    new_content: Schema.String,
    version: Schema.Int
  }),
  event("message.deleted", "A message was deleted.", {
    message_id: Schema.String,
    deleted_by: Schema.String,
    version: Schema.Int
  }),
  event("message.moved_topic", "A message was moved. A move of several messages has an event for each.", {
    message_id: Schema.String,
    old_topic_id: Schema.String,
    new_topic_id: Schema.String,
    channel_id: Schema.String,
    mode: Schema.Literals(["one", "later", "all"]),
    version: Schema.Int
  }),
  event("topic.attachment_added", "A client or a plugin attached a fact to a topic.", {
    attachment: Attachment,
    /** Missing if a client attached it, and in events of earlier hubs. */
    plugin_name: Schema.optionalKey(plugin_name),
    plugin_version: Schema.optionalKey(Enrichment.fields.plugin_version)
  }),
  event("message.enriched", "A run of a plugin found something in a message.", {
    message_id: Schema.String,
    plugin_name,
    /** Missing in events of earlier hubs. */
    plugin_version: Schema.optionalKey(Enrichment.fields.plugin_version),
    enrichments: Schema.Array(
      Schema.Struct({
        id: Enrichment.fields.id,
        kind: Enrichment.fields.kind,
        span: Enrichment.fields.span,
        data: Enrichment.fields.data
      })
    ),
    enrichment_ids: Schema.Array(Schema.String)
  }),
  event("plugin.failed", "A plugin failed on a message. `code` is that of its error.", {
    ...ofJob,
    code: Schema.String,
    message: Schema.String
  }),
  event("plugin.stale", "What a plugin found was discarded, because the message has changed since.", {
    ...ofJob,
    reason: Schema.Literals(["CONTENT_CHANGED", "DELETED"])
  }),
  event("plugin.circuit_opened", "A plugin failed too often in a row and is paused.", {
    plugin_name,
    failures: Schema.Int,
    retry_after_ms: Schema.Finite
  }),
  event("plugin.circuit_closed", "A plugin runs again.", { plugin_name }),
  event("message.erased", "A deleted message's text was removed from the events before this one.", {
    message_id: Schema.String,
    erased_by: Schema.String,
    /** How many events were changed. */
    events: Schema.Int
  }),
  event(
    "events.pruned",
    "Events are missing here: those after `after` up to `pruned_until` were pruned. Sent to each reader that misses them, whatever its subscriptions, with the number of the last pruned event. It is not in the log.",
    { after: Schema.Int, pruned_until: Schema.Int }
  )
]).pipe(Schema.toTaggedUnion("name"))

export type EventName = (typeof AgentlipEvent.Type)["name"]

/** An event whose name tells the type of its data. */
export type AgentlipEvent<Name extends EventName = EventName> = Extract<
  typeof AgentlipEvent.Type,
  { readonly name: Name }
>

export type EventData<Name extends EventName = EventName> = AgentlipEvent<Name>["data"]

/** The schema of each event, in the order of their declaration. */
export const eventSchemas = AgentlipEvent.members

/** Names of all events, in the order of their declaration. */
export const eventNames: ReadonlyArray<EventName> = AgentlipEvent.discriminants

/** An event as `GET /api/v1/events` gives it; also one whose name this version does not know. */
export const HubEvent = Schema.Struct({ ...envelope, name: Schema.String, data_json: JsonObject })
export type HubEvent = typeof HubEvent.Type

/** An event as the WebSocket and server-sent events give it; also one whose name this version does not know. */
export const LiveEvent = Schema.Struct({
  type: Schema.Literal("event"),
  ...envelope,
  name: Schema.String,
  data: JsonObject
})
export type LiveEvent = typeof LiveEvent.Type

const decode = Schema.decodeUnknownOption(AgentlipEvent)

/**
 * An event with typed data; `undefined` if this version does not know its name, or its data has another shape.
 *
 * @example
 * ```ts
 * const event = knownEvent(given)
 * if (event?.name === "message.created") console.log(event.data.message.content_raw)
 * ```
 */
export const knownEvent = (event: HubEvent | LiveEvent): AgentlipEvent | undefined => {
  const { event_id, ts, name, scope, entity } = event
  const data = "data" in event ? event.data : event.data_json
  return Option.getOrUndefined(decode({ event_id, ts, name, scope, entity, data }))
}
