/** `GET /api/v1/events/stream`: events as server-sent events, for clients without a WebSocket. */
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect, type Layer, Queue, Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Auth from "./Auth.ts"
import type { AuthToken } from "../workspace/AuthToken.ts"
import { refusal } from "./Failures.ts"
import { Feed, type FeedEvent, unlessStalled } from "../core/Feed.ts"

/** Keeps proxies from closing an idle connection. */
const commentEvery = "15 seconds"
const comment = ": still here\n\n"

/** Milliseconds until a browser reconnects. This first line also sends the headers before there is an event. */
const greeting = "retry: 1000\n\n"

const Position = Schema.FiniteFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(0))
const Filter = Schema.optional(Schema.Union([Schema.Array(Schema.String), Schema.String]))
const decodeQuery = Schema.decodeUnknownEffect(
  Schema.Struct({
    after: Schema.optional(Position),
    token: Schema.optional(Schema.String),
    channel_id: Filter,
    topic_id: Filter
  })
)

const listed = (filter: typeof Filter.Type): ReadonlyArray<string> =>
  typeof filter === "string" ? [filter] : (filter ?? [])

const toSse = ({ event_id, name, text }: FeedEvent): string =>
  Sse.encoder.write({ _tag: "Event", id: String(event_id), event: name, data: text })

/**
 * Needs no token unless `readAuth` is set. Clients that send one, in the header or the query, get places reserved for
 * them.
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Feed | AuthToken> = HttpRouter.use(
  (router) =>
    Effect.gen(function* () {
      const feed = yield* Feed
      const check = yield* Auth.check
      yield* router.add(
        "GET",
        "/api/v1/events/stream",
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          const query = yield* HttpServerRequest.ParsedSearchParams
          // On reconnect, the header holds the newer position; the URL still has the first one.
          const after = request.headers["last-event-id"] || query["after"]
          const { channel_id, topic_id, token = "", ...given } = yield* decodeQuery({ ...query, after })
          const bearer = /^Bearer +(.*)$/i.exec(request.headers["authorization"] ?? "")?.[1]
          const credential = bearer ?? token
          if (credential !== "") yield* check(credential, "the hub's token, or none")
          const channels = listed(channel_id)
          const topics = listed(topic_id)
          if (!(yield* feed.admit(credential !== "")))
            return refusal(503, "SERVICE_UNAVAILABLE", "No more streams, try again later")

          const newest = yield* Effect.orDie(feed.newest)
          const response = NodeHttpServerRequest.toServerResponse(request)
          const events = Stream.callback<string>(
            Effect.fnUntraced(function* (queue) {
              yield* feed
                .follow(
                  Math.min(given.after ?? 0, newest),
                  channels.length + topics.length === 0 ? undefined : { channels, topics },
                  (events) => unlessStalled(Queue.offerAll(queue, events.map(toSse)))
                )
                .pipe(
                  // The reason cannot be sent, because the response has started. The client reconnects with its
                  // Last-Event-ID.
                  Effect.catch((failure) =>
                    Effect.andThen(
                      Effect.logWarning("an event stream was cut", failure),
                      Effect.sync(() => response.destroy())
                    )
                  )
                )
              yield* Queue.end(queue)
            }),
            { bufferSize: 16, strategy: "suspend" }
          )
          const comments = Stream.map(Stream.drop(Stream.tick(commentEvery), 1), () => comment)
          return HttpServerResponse.stream(
            Stream.make(greeting).pipe(
              Stream.concat(Stream.merge(events, comments, { haltStrategy: "left" })),
              Stream.encodeText
            ),
            { contentType: "text/event-stream", headers: { "cache-control": "no-store" } }
          )
        }).pipe(
          Effect.catchTags({
            MISSING_AUTH: ({ code, error }) => Effect.succeed(refusal(401, code, error)),
            INVALID_AUTH: ({ code, error }) => Effect.succeed(refusal(401, code, error))
          }),
          Effect.catchTag("SchemaError", () =>
            Effect.succeed(
              refusal(
                400,
                "INVALID_INPUT",
                "after or Last-Event-ID: expected the number of an event; channel_id and topic_id: expected ids"
              )
            )
          )
        )
      )
    })
)
