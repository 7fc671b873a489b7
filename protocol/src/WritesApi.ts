/** Calls that change what a hub keeps: channels, topics, messages and attachments. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { CrossChannelMove, InvalidInput, NotFound, PayloadTooLarge, VersionConflict } from "./Errors.ts"
import { Attachment, Channel, Erasure, JsonObject, Message, Topic } from "./Entities.ts"
import { Authorization, EveryRequest, Idempotency, TextBody, Validation } from "./Middlewares.ts"
import {
  byId,
  described,
  eventNumber as event_id,
  expectedVersion as expected_version
} from "./parameters.ts"
import * as Texts from "./Texts.ts"

const created = { httpApiStatus: 201 }

/** Which messages a move takes along: this one, this and the later ones of its topic, or the whole topic. */
export const MoveMode = Schema.Literals(["one", "later", "all"])
export type MoveMode = typeof MoveMode.Type

export class Writes extends HttpApiGroup.make("writes")
  .add(
    HttpApiEndpoint.post("createChannel", "/channels", {
      payload: Schema.Struct({
        name: Texts.channelName,
        description: Schema.optional(Schema.NullOr(Texts.description))
      }),
      success: Schema.Struct({ channel: Channel, event_id }).annotate(created),
      error: [InvalidInput, NotFound]
    }).annotate(OpenApi.Summary, "Create a channel"),
    HttpApiEndpoint.post("createTopic", "/topics", {
      payload: Schema.Struct({ channel_id: Texts.id, title: Texts.title }),
      success: Schema.Struct({ topic: Topic, event_id }).annotate(created),
      error: [InvalidInput, NotFound]
    }).annotate(OpenApi.Summary, "Create a topic in a channel"),
    HttpApiEndpoint.patch("renameTopic", "/topics/:id", {
      params: byId("topic"),
      payload: Schema.Struct({ title: Texts.title }),
      success: Schema.Struct({ topic: Topic, event_id }),
      error: [InvalidInput, NotFound]
    }).annotate(OpenApi.Summary, "Rename a topic"),
    HttpApiEndpoint.post("createMessage", "/messages", {
      payload: Schema.Struct({ topic_id: Texts.id, sender: Texts.sender, content_raw: Texts.content }),
      success: Schema.Struct({ message: Message, event_id }).annotate(created),
      error: [InvalidInput, NotFound, PayloadTooLarge]
    }).annotate(OpenApi.Summary, "Post a message"),
    HttpApiEndpoint.patch("changeMessage", "/messages/:id", {
      params: byId("message"),
      payload: Schema.Union([
        Schema.Struct({ op: Schema.Literal("edit"), content_raw: Texts.content, expected_version }),
        Schema.Struct({
          op: Schema.Literal("delete"),
          actor: Texts.actor,
          expected_version,
          erase: Schema.optionalKey(
            described(
              "Also remove the text from events, where a deletion leaves it. Works on a deleted message too. Default: `false`.",
              Schema.Boolean
            )
          )
        }),
        Schema.Struct({
          op: Schema.Literal("move_topic"),
          to_topic_id: Texts.id,
          mode: MoveMode,
          expected_version
        })
      ]),
      success: Schema.Union([
        Schema.Struct({
          message: Message,
          event_id: Schema.NullOr(event_id),
          erasure: Schema.optionalKey(
            described("Of a deletion with `erase`. It goes on after the response.", Erasure)
          )
        }),
        Schema.Struct({ affected_count: Schema.Int, event_ids: Schema.Array(event_id) })
      ]),
      error: [InvalidInput, NotFound, PayloadTooLarge, VersionConflict, CrossChannelMove]
    }).annotate(OpenApi.Summary, "Edit, delete or move a message"),
    HttpApiEndpoint.post("createAttachment", "/topics/:id/attachments", {
      params: byId("topic"),
      payload: Schema.Struct({
        kind: Texts.kind,
        key: Schema.optional(Texts.key),
        value_json: JsonObject,
        dedupe_key: Schema.optional(Texts.dedupeKey),
        source_message_id: Schema.optional(Texts.id)
      }),
      success: [
        Schema.Struct({ attachment: Attachment, event_id }).annotate(created),
        Schema.Struct({ attachment: Attachment, event_id: Schema.Null, deduplicated: Schema.Literal(true) })
      ],
      error: [InvalidInput, NotFound, PayloadTooLarge]
    }).annotate(OpenApi.Summary, "Attach a fact to a topic, once")
  )
  .middleware(Idempotency)
  .middleware(TextBody)
  .middleware(Validation)
  .middleware(Authorization)
  .middleware(EveryRequest)
  .annotateMerge(
    OpenApi.annotations({
      title: "Writes",
      description:
        "Every write needs the token, and takes effect once if it is repeated with the same `Idempotency-Key`."
    })
  )
  .prefix("/api/v1") {}
