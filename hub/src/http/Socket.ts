/** `GET /ws?token=`: events over a WebSocket. */
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Hello, type HelloOk, type Subscriptions } from "@agentlip/protocol"
import { Cause, Effect, type Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"
import type * as Net from "node:net"
import { Identity } from "../workspace/HubIdentity.ts"
import * as Auth from "./Auth.ts"
import type { AuthToken } from "../workspace/AuthToken.ts"
import { refusal } from "./Failures.ts"
import { handshakeObjection } from "./Handshake.ts"
import { Feed, unlessStalled } from "../core/Feed.ts"
import type { FeedEvent } from "../core/Listeners.ts"
import { socketClosed } from "../core/HubMetrics.ts"

/** Most bytes in a frame from the client. A larger one closes the WebSocket with 1009. */
export const maxPayload = 256 * 1024

const helloWithin = "10 seconds"

/** How long a client may take to confirm a close, including the time to read what was sent before. */
const closeWithin = "10 seconds"
const closeWithinAtStop = "500 millis"

const decodeHello = Schema.decodeUnknownEffect(Schema.fromJsonString(Hello))

const subscriptionsOf = ({ subscriptions }: Hello): Subscriptions | undefined =>
  subscriptions === undefined
    ? undefined
    : { channels: subscriptions?.channels ?? [], topics: subscriptions?.topics ?? [] }

const notTheProtocol = (reason: string) => new Socket.CloseEvent(1003, reason)
const goingAway = new Socket.CloseEvent(1001, "shutting down")

/** Waits until Node's write buffer has drained. */
const drained = (connection: Net.Socket): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const done = () => resume(Effect.void)
    connection.once("drain", done)
    return Effect.sync(() => connection.off("drain", done))
  })

const gone = (connection: Net.Socket): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (connection.closed) return resume(Effect.void)
    const done = () => resume(Effect.void)
    connection.once("close", done)
    return Effect.sync(() => connection.off("close", done))
  })

/** Runs the protocol after the upgrade. Returns the close event to send, or `undefined` if the client has closed. */
const converse = Effect.fnUntraced(function* (
  connection: Net.Socket,
  reader: Socket.Reader,
  writer: Socket.Writer,
  hub: { readonly feed: Feed["Service"]; readonly instance_id: string }
) {
  const send = Effect.fnUntraced(function* (events: ReadonlyArray<FeedEvent>) {
    for (const { text } of events) {
      yield* writer.write(text)
      if (connection.writableNeedDrain) yield* unlessStalled(drained(connection))
    }
  })
  const first = yield* Effect.timeoutOption(reader.pull, helloWithin)
  if (first._tag === "None") return notTheProtocol("no hello")
  const [frame, ...more] = first.value
  const text = typeof frame === "string" ? frame : new TextDecoder().decode(frame)
  const hello = yield* Effect.option(decodeHello(text))
  if (hello._tag === "None" || more.length > 0) return notTheProtocol("expected one hello in JSON")
  const { after_event_id } = hello.value
  const replay_until = yield* hub.feed.newest
  const helloOk: HelloOk = { type: "hello_ok", replay_until, instance_id: hub.instance_id }
  yield* writer.write(JSON.stringify(helloOk))
  return yield* Effect.raceFirst(
    Effect.as(
      hub.feed.follow(Math.min(after_event_id, replay_until), subscriptionsOf(hello.value), send),
      goingAway
    ),
    Effect.as(reader.pull, notTheProtocol("expected nothing after hello"))
  )
})

const serve = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  hub: { readonly feed: Feed["Service"]; readonly instance_id: string }
) {
  const { socket: connection } = NodeHttpServerRequest.toIncomingMessage(request)
  // Whatever happens, the connection is closed at the end.
  yield* Effect.addFinalizer(() => Effect.sync(() => connection.destroy()))
  const socket = yield* Effect.orDie(request.upgrade)
  const reader = yield* socket.reader
  const writer = yield* socket.writer
  const close = yield* converse(connection, reader, writer, hub).pipe(
    Effect.raceFirst(Effect.as(hub.feed.stopping, goingAway)),
    Effect.catchTags({
      Backpressure: () => Effect.succeed(new Socket.CloseEvent(1008, "backpressure")),
      // The client left, or sent an invalid frame, which `ws` has closed with 1002, 1007 or 1009.
      SocketError: () => Effect.undefined
    }),
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.interrupt
        : Effect.as(Effect.logError("a socket failed", cause), new Socket.CloseEvent(1011, "internal error"))
    )
  )
  if (close !== undefined) {
    yield* socketClosed(close.code)
    yield* writer.write(close)
  }
  // Keep reading, or the client's reply to the close would never arrive.
  const unread = Effect.andThen(Effect.ignore(Effect.forever(reader.pull)), Effect.never)
  const stopped = Effect.andThen(hub.feed.stopping, Effect.sleep(closeWithinAtStop))
  yield* Effect.raceAllFirst([gone(connection), unread, stopped, Effect.sleep(closeWithin)])
})

/** Adds the route. It uses the same error format as the API. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Feed | Identity | AuthToken> =
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      const feed = yield* Feed
      const { instance_id } = yield* Identity
      const check = yield* Auth.check
      yield* router.add(
        "GET",
        "/ws",
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          const { token } = yield* HttpServerRequest.ParsedSearchParams
          yield* check(typeof token === "string" ? token : "", "the query ?token=")
          const objected = handshakeObjection(request)
          if (objected !== undefined) return objected
          if (!(yield* feed.admit(true)))
            return refusal("SERVICE_UNAVAILABLE", "No more sockets, try again later")
          yield* serve(request, { feed, instance_id })
          return HttpServerResponse.empty()
        }).pipe(
          Effect.scoped,
          Effect.catchTags({
            MISSING_AUTH: ({ code, error }) => Effect.succeed(refusal(code, error)),
            INVALID_AUTH: ({ code, error }) => Effect.succeed(refusal(code, error)),
            // The client left while the WebSocket was opening or closing.
            SocketError: () => Effect.succeed(HttpServerResponse.empty())
          })
        )
      )
    })
  )
