/** The hub's HTTP interface, as shared with clients: paths, inputs, answers and refusals. */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { CrossChannelMove, InvalidInput, NotFound, PayloadTooLarge, VersionConflict } from "./Errors.ts"
import { Authorization, Idempotency, Validation, TextBody } from "./Middlewares.ts"
import { Attachment, Channel, Job, Enrichment, JsonObject, Message, Topic } from "./Entities.ts"
import { HubEvent } from "./Events.ts"
import { OperationReads, Operations } from "./OperationsApi.ts"
import { PluginDetails, PluginSummary } from "./Plugins.ts"
import * as Texts from "./Texts.ts"

const count = (smallest: number, largest: number) =>
  Schema.Int.check(Schema.isBetween({ minimum: smallest, maximum: largest }))
const position = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const byOffset = { limit: Schema.optional(count(1, 1000)), offset: Schema.optional(position) }
const created = { httpApiStatus: 201 }
const byId = { id: Schema.String }
const expected_version = Schema.optionalKey(Schema.Int)
const event_id = Schema.Int

const writing = [InvalidInput, NotFound, PayloadTooLarge, VersionConflict, CrossChannelMove] as const

/** What a challenge to `/health` may look like: 16 to 128 characters of base64url. */
const challengePattern = /^[A-Za-z0-9_-]{16,128}$/

/** Which hub answers. */
export const HealthStatus = Schema.Struct({
  status: Schema.Literal("ok"),
  instance_id: Schema.String,
  db_id: Schema.String,
  schema_version: Schema.Int,
  protocol_version: Schema.String,
  pid: Schema.Int,
  uptime_seconds: Schema.Finite,
  /** Whether reads need the token too. */
  read_auth: Schema.optionalKey(Schema.Boolean),
  /** Of a request with `challenge`: that the hub has the token of its `server.json`; see Proof.ts. */
  proof: Schema.optionalKey(Schema.String)
})
export type HealthStatus = typeof HealthStatus.Type

export class Health extends HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("health", "/health", {
      query: { challenge: Schema.optional(Schema.String.check(Schema.isPattern(challengePattern))) },
      success: HealthStatus,
      error: InvalidInput
    })
  )
  .middleware(Validation) {}

export class Reads extends HttpApiGroup.make("reads")
  .add(
    HttpApiEndpoint.get("channels", "/channels", {
      query: { limit: Schema.optional(count(1, 1000)), after_id: Schema.optional(Schema.String) },
      success: Schema.Struct({ channels: Schema.Array(Channel), has_more: Schema.Boolean })
    }),
    HttpApiEndpoint.get("topics", "/channels/:id/topics", {
      params: byId,
      query: byOffset,
      success: Schema.Struct({ topics: Schema.Array(Topic), has_more: Schema.Boolean }),
      error: [NotFound, InvalidInput]
    }),
    HttpApiEndpoint.get("messages", "/messages", {
      query: {
        topic_id: Schema.optional(Schema.String),
        channel_id: Schema.optional(Schema.String),
        limit: Schema.optional(count(1, 1000)),
        before_id: Schema.optional(Schema.String),
        after_id: Schema.optional(Schema.String)
      },
      success: Schema.Struct({ messages: Schema.Array(Message), has_more: Schema.Boolean }),
      error: InvalidInput
    }),
    HttpApiEndpoint.get("message", "/messages/:id", {
      params: byId,
      success: Schema.Struct({ message: Message }),
      error: NotFound
    }),
    HttpApiEndpoint.get("enrichments", "/messages/:id/enrichments", {
      params: byId,
      query: byOffset,
      success: Schema.Struct({ enrichments: Schema.Array(Enrichment), has_more: Schema.Boolean }),
      error: NotFound
    }),
    HttpApiEndpoint.get("derivations", "/messages/:id/derivations", {
      params: byId,
      query: byOffset,
      success: Schema.Struct({ derivations: Schema.Array(Job), has_more: Schema.Boolean }),
      error: NotFound
    }),
    HttpApiEndpoint.get("attachments", "/topics/:id/attachments", {
      params: byId,
      query: {
        kind: Schema.optional(Schema.String),
        limit: Schema.optional(count(1, 1000)),
        after_id: Schema.optional(Schema.String)
      },
      success: Schema.Struct({ attachments: Schema.Array(Attachment), has_more: Schema.Boolean }),
      error: NotFound
    }),
    HttpApiEndpoint.get("plugins", "/plugins", {
      success: Schema.Struct({
        plugins: Schema.Array(PluginSummary),
        /** Why the config file, as it is now, cannot be used, while the hub goes on as it was. */
        config_problem: Schema.NullOr(Schema.String)
      })
    }),
    HttpApiEndpoint.get("plugin", "/plugins/:name", {
      params: { name: Schema.String },
      success: Schema.Struct({ plugin: PluginDetails }),
      error: NotFound
    }),
    HttpApiEndpoint.get("events", "/events", {
      query: {
        after: Schema.optional(position),
        limit: Schema.optional(count(1, 1000)),
        tail: Schema.optional(count(1, 1000)),
        channel_id: Schema.optional(Schema.Array(Schema.String)),
        topic_id: Schema.optional(Schema.Array(Schema.String))
      },
      success: Schema.Struct({
        replay_until: Schema.Int,
        has_more: Schema.Boolean,
        events: Schema.Array(HubEvent)
      })
    })
  )
  .middleware(Validation)
  .prefix("/api/v1") {}

export class Writes extends HttpApiGroup.make("writes")
  .add(
    HttpApiEndpoint.post("createChannel", "/channels", {
      payload: Schema.Struct({
        name: Texts.channelName,
        description: Schema.optional(Schema.NullOr(Texts.description))
      }),
      success: Schema.Struct({ channel: Channel, event_id }).annotate(created),
      error: writing
    }),
    HttpApiEndpoint.post("createTopic", "/topics", {
      payload: Schema.Struct({ channel_id: Texts.id, title: Texts.title }),
      success: Schema.Struct({ topic: Topic, event_id }).annotate(created),
      error: writing
    }),
    HttpApiEndpoint.patch("renameTopic", "/topics/:id", {
      params: byId,
      payload: Schema.Struct({ title: Texts.title }),
      success: Schema.Struct({ topic: Topic, event_id }),
      error: writing
    }),
    HttpApiEndpoint.post("createMessage", "/messages", {
      payload: Schema.Struct({ topic_id: Texts.id, sender: Texts.sender, content_raw: Schema.String }),
      success: Schema.Struct({ message: Message, event_id }).annotate(created),
      error: writing
    }),
    HttpApiEndpoint.patch("changeMessage", "/messages/:id", {
      params: byId,
      payload: Schema.Union([
        Schema.Struct({ op: Schema.Literal("edit"), content_raw: Schema.String, expected_version }),
        Schema.Struct({ op: Schema.Literal("delete"), actor: Texts.actor, expected_version }),
        Schema.Struct({
          op: Schema.Literal("move_topic"),
          to_topic_id: Texts.id,
          mode: Schema.Literals(["one", "later", "all"]),
          expected_version
        })
      ]),
      success: Schema.Union([
        Schema.Struct({ message: Message, event_id: Schema.NullOr(event_id) }),
        Schema.Struct({ affected_count: Schema.Int, event_ids: Schema.Array(event_id) })
      ]),
      error: writing
    }),
    HttpApiEndpoint.post("createAttachment", "/topics/:id/attachments", {
      params: byId,
      payload: Schema.Struct({
        kind: Texts.kind,
        key: Schema.optional(Texts.key),
        value_json: JsonObject,
        dedupe_key: Schema.optional(Texts.dedupeKey),
        source_message_id: Schema.optional(Texts.id)
      }),
      success: [
        Schema.Struct({ attachment: Attachment, event_id }).annotate(created),
        Schema.Struct({ attachment: Attachment, event_id: Schema.Null })
      ],
      error: writing
    })
  )
  .middleware(Idempotency)
  .middleware(TextBody)
  .middleware(Validation)
  .middleware(Authorization)
  .prefix("/api/v1") {}

export class Api extends HttpApi.make("agentlip-hub")
  .add(Health)
  .add(Reads)
  .add(Writes)
  .add(OperationReads)
  .add(Operations)
  .annotateMerge(OpenApi.annotations({ title: "Agentlip hub", version: "1" })) {}
