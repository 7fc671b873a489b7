/** Live events: as server-sent events, and the frames of the WebSocket. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { LiveEvent } from "./Events.ts"
import { EveryRequest, ReadAuthorization, Validation } from "./Middlewares.ts"
import { after, described, ids } from "./parameters.ts"

export class Live extends HttpApiGroup.make("live")
  .add(
    HttpApiEndpoint.get("eventStream", "/events/stream", {
      headers: {
        "last-event-id": Schema.optional(
          described(
            "Continue after the event with this number; wins over `after`. Browsers send it when they reconnect.",
            Schema.Union([Schema.Literal(""), after])
          )
        )
      },
      query: {
        after: Schema.optional(after),
        channel_id: ids("Only events of these channels, or of the topics in `topic_id`. May be repeated."),
        topic_id: ids("Only events of these topics, or of the channels in `channel_id`. May be repeated."),
        token: Schema.optional(
          described("The hub's token, for clients that cannot set a header.", Schema.String)
        )
      },
      /** `id` is the event's number and `event` its name. Comments keep an idle connection open. */
      success: HttpApiSchema.StreamSse({ data: LiveEvent })
    }).annotate(OpenApi.Summary, "Follow events as server-sent events")
  )
  .middleware(Validation)
  .middleware(ReadAuthorization)
  .middleware(EveryRequest)
  .annotateMerge(OpenApi.annotations({ title: "Live events", description: "Events as they happen." }))
  .prefix("/api/v1") {}

const Ids = Schema.Array(Schema.String).check(Schema.isMaxLength(1000))

/** Selects events of the listed channels or topics. A missing list is empty. */
export const Subscriptions = Schema.Struct({
  channels: Schema.optionalKey(Ids),
  topics: Schema.optionalKey(Ids)
})
export type Subscriptions = typeof Subscriptions.Type

/**
 * The one frame that a client sends over the WebSocket, as text or binary. Without `subscriptions` it gets every event.
 * `null` is an empty list, so `subscriptions: null` selects nothing, as in Agentlip v1.
 */
export const Hello = Schema.Struct({
  type: Schema.Literal("hello"),
  after_event_id: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  subscriptions: Schema.optionalKey(
    Schema.NullOr(
      Schema.Struct({
        channels: Schema.optionalKey(Schema.NullOr(Ids)),
        topics: Schema.optionalKey(Schema.NullOr(Ids))
      })
    )
  )
})
export type Hello = typeof Hello.Type

/** The hub's first frame over the WebSocket. Then it sends `LiveEvent`s. */
export const HelloOk = Schema.Struct({
  type: Schema.Literal("hello_ok"),
  /** Events up to this number happened before the `hello`. */
  replay_until: Schema.Int,
  instance_id: Schema.String
})
export type HelloOk = typeof HelloOk.Type
