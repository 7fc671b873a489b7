/**
 * Everything that happens in a hub is an event. `eventData` declares each once: its name and the shape of its data.
 *
 * An event has two forms on the wire: in pages of `GET /api/v1/events` its data is called `data_json` (`HubEvent`); over
 * the WebSocket and in server-sent events it is called `data` (`LiveEvent`).
 */
import { Option, Schema } from "effect"
import { Attachment, Channel, JsonObject, Message, Topic } from "./Entities.ts"

const plugin_name = Schema.String
const ofJob = { message_id: Schema.String, plugin_name, content_version: Schema.Int }

/** The data of each event, by the event's name. */
export const eventData = {
  "channel.created": Schema.Struct({ channel: Channel }),
  "topic.created": Schema.Struct({ topic: Topic }),
  "topic.renamed": Schema.Struct({
    topic_id: Schema.String,
    old_title: Schema.String,
    new_title: Schema.String
  }),
  "message.created": Schema.Struct({ message: Message }),
  "message.edited": Schema.Struct({
    message_id: Schema.String,
    old_content: Schema.String,
    new_content: Schema.String,
    version: Schema.Int
  }),
  "message.deleted": Schema.Struct({
    message_id: Schema.String,
    deleted_by: Schema.String,
    version: Schema.Int
  }),
  /** One for each message that was moved. */
  "message.moved_topic": Schema.Struct({
    message_id: Schema.String,
    old_topic_id: Schema.String,
    new_topic_id: Schema.String,
    channel_id: Schema.String,
    mode: Schema.Literals(["one", "later", "all"]),
    version: Schema.Int
  }),
  "topic.attachment_added": Schema.Struct({ attachment: Attachment }),
  /** One for each run of a plugin that found something. */
  "message.enriched": Schema.Struct({
    message_id: Schema.String,
    plugin_name,
    enrichments: Schema.Array(
      Schema.Struct({
        id: Schema.String,
        kind: Schema.String,
        span: Schema.Struct({ start: Schema.Int, end: Schema.Int }),
        data: JsonObject
      })
    ),
    enrichment_ids: Schema.Array(Schema.String)
  }),
  /** A plugin failed on a message; `code` is that of its error. */
  "plugin.failed": Schema.Struct({ ...ofJob, code: Schema.String, message: Schema.String }),
  /** What a plugin found was discarded, because the message has changed since. */
  "plugin.stale": Schema.Struct({ ...ofJob, reason: Schema.Literals(["CONTENT_CHANGED", "DELETED"]) }),
  "plugin.circuit_opened": Schema.Struct({
    plugin_name,
    failures: Schema.Int,
    retry_after_ms: Schema.Finite
  }),
  "plugin.circuit_closed": Schema.Struct({ plugin_name })
}

export type EventName = keyof typeof eventData
export type EventData<Name extends EventName = EventName> = (typeof eventData)[Name]["Type"]

/** Names of all events, in the order of their declaration. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a constant
export const eventNames = Object.keys(eventData) as ReadonlyArray<EventName>

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
  name: Schema.String,
  scope: EventScope,
  entity: EventEntity
}

/** An event as `GET /api/v1/events` gives it; also one whose name this version does not know. */
export const HubEvent = Schema.Struct({ ...envelope, data_json: JsonObject })
export type HubEvent = typeof HubEvent.Type

/** An event as the WebSocket and server-sent events give it. */
export const LiveEvent = Schema.Struct({ type: Schema.Literal("event"), ...envelope, data: JsonObject })
export type LiveEvent = typeof LiveEvent.Type

/** An event whose name tells the type of its data. */
export type AgentlipEvent<Name extends EventName = EventName> = {
  readonly [Each in Name]: Omit<LiveEvent, "type" | "name" | "data"> & {
    readonly name: Each
    readonly data: EventData<Each>
  }
}[Name]

const decoders = new Map<string, (data: unknown) => Option.Option<EventData>>(
  Object.entries(eventData).map(([name, schema]) => [name, Schema.decodeUnknownOption(schema)])
)

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
  const data = decoders.get(name)?.("data" in event ? event.data : event.data_json)
  // The decoder is the one of this name.
  return data === undefined || Option.isNone(data)
    ? undefined
    : ({ event_id, ts, name, scope, entity, data: data.value } as AgentlipEvent)
}
