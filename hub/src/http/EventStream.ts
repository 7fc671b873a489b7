/** `GET /api/v1/events/stream`: events as server-sent events, for clients without a WebSocket. */
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect, Queue, Stream } from "effect"
import { Sse } from "effect/encoding"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Api, ServiceUnavailable } from "@agentlip/protocol"
import { Sessions } from "../console/Sessions.ts"
import { CurrentSession } from "../console/SignedIn.ts"
import * as Auth from "./Auth.ts"
import { Feed, unlessStalled } from "../core/Feed.ts"
import type { FeedEvent } from "../core/Listeners.ts"

/** Keeps proxies from closing an idle connection. */
const commentEvery = "15 seconds"
const comment = ": still here\n\n"

/** Milliseconds until a browser reconnects. This first line also sends the headers before there is an event. */
const greeting = "retry: 1000\n\n"

const toSse = ({ event_id, name, text }: FeedEvent): string =>
  Sse.encoder.write({ _tag: "Event", id: String(event_id), event: name, data: text })

/**
 * Needs no token unless `readAuth` is set. Clients that send one, in the header or the query, get places reserved for
 * them.
 */
export const EventStreamLive = HttpApiBuilder.group(
  Api,
  "live",
  Effect.fnUntraced(function* (handlers) {
    const feed = yield* Feed
    const check = yield* Auth.check
    const sessions = yield* Sessions
    return handlers.handle(
      "eventStream",
      Effect.fnUntraced(function* ({ request, headers, query }) {
        // On reconnect, the header holds the newer position; the URL still has the first one.
        const after = headers["last-event-id"] || (query.after ?? 0)
        const { channel_id: channels = [], topic_id: topics = [] } = query
        const bearer = /^Bearer +(.*)$/i.exec(request.headers["authorization"] ?? "")?.[1]
        const credential = bearer ?? query.token ?? ""
        if (credential !== "") yield* check(credential, "the hub's token, or none")
        if (!(yield* feed.admit(credential !== "")))
          return yield* new ServiceUnavailable({ error: "No more streams, try again later" })

        // A stream that a session has opened ends with the session.
        const session = yield* CurrentSession
        const sessionEnds = session === undefined ? Effect.never : sessions.ended(session)
        const newest = yield* Effect.orDie(feed.newest)
        const response = NodeHttpServerRequest.toServerResponse(request)
        const events = Stream.callback<string>(
          Effect.fnUntraced(function* (queue) {
            yield* feed
              .follow(
                Math.min(after, newest),
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
            Stream.interruptWhen(sessionEnds),
            Stream.encodeText
          ),
          { contentType: "text/event-stream", headers: { "cache-control": "no-store" } }
        )
      })
    )
  })
)
