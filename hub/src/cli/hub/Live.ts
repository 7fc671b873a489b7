/** Live events of the hub over its WebSocket. No event is lost when the hub restarts. */
import { NodeWS } from "@effect/platform-node"
import { Console, Effect, Redacted, Schedule, Schema, Stream } from "effect"
import { Socket } from "effect/socket"
import type { Subscriptions } from "@agentlip/protocol"
import { EventScope, JsonObject } from "@agentlip/protocol"
import { CommandError, exitCodes } from "../CommandError.ts"
import { Json } from "../flags/Globals.ts"
import { connectTo, type HubClient } from "./HubClient.ts"
import { urlOf } from "./ServerFile.ts"

const HelloOk = Schema.Struct({ type: Schema.Literal("hello_ok") })

const LiveEvent = Schema.Struct({
  type: Schema.Literal("event"),
  event_id: Schema.Int,
  ts: Schema.String,
  name: Schema.String,
  scope: EventScope,
  entity: Schema.Struct({ type: Schema.String, id: Schema.String }),
  data: JsonObject
})

/** An event with the JSON text it arrived as. */
export type LiveEvent = typeof LiveEvent.Type & { readonly text: string }

const decodeFrame = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Union([LiveEvent, HelloOk])))

const notTheProtocol = (what: string) =>
  new CommandError({ reason: `The hub sent an unexpected event: ${what}`, code: "PROTOCOL" })

interface Place {
  /** The number of the last event received. */
  after: number
  hub: HubClient
}

const addressOf = ({ hub: { server } }: Place): string =>
  `${urlOf(server).replace("http", "ws")}/ws?token=${Redacted.value(server.auth_token)}`

const eventsOf = Effect.fnUntraced(function* (place: Place, frame: string | Uint8Array) {
  const text = typeof frame === "string" ? frame : new TextDecoder().decode(frame)
  const decoded = yield* Effect.mapError(decodeFrame(text), ({ message }) => notTheProtocol(message))
  if (decoded.type === "hello_ok") return []
  place.after = decoded.event_id
  return [{ ...decoded, text }]
})

/** The events of one connection, until it ends. */
const connection = (place: Place, subscriptions: Subscriptions | undefined) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const socket = yield* Socket.makeWebSocket(addressOf(place))
      const reader = yield* socket.reader
      const writer = yield* socket.writer
      const hello = {
        type: "hello",
        after_event_id: place.after,
        ...(subscriptions === undefined ? {} : { subscriptions })
      }
      yield* writer.write(JSON.stringify(hello))
      return Stream.fromEffectRepeat(reader.pull).pipe(
        Stream.flatMap((frames) => Stream.fromArray(frames)),
        Stream.mapEffect((frame) => eventsOf(place, frame)),
        Stream.flatMap((events) => Stream.fromArray(events))
      )
    })
  )

/** Returns an error if a retry cannot help. */
const fatal = ({ reason }: Socket.SocketError): CommandError | undefined => {
  if (reason._tag !== "SocketCloseError" || ![1003, 1009].includes(reason.code)) return undefined
  return notTheProtocol(`it closed with ${reason.message}`)
}

const note = (text: string) =>
  Effect.flatMap(Json, (json) => (json ? Effect.void : Console.error(`agentlip: ${text}`)))

const retries = Schedule.min([Schedule.exponential("100 millis", 1.5), Schedule.spaced("2 seconds")])

const isNotRunning = ({ exitCode }: CommandError): boolean => exitCode === exitCodes.notRunning

/** Reconnects to the hub once it is back. It may have another port and token. */
const comeBack = Effect.fnUntraced(function* (place: Place, error: Socket.SocketError) {
  const final = fatal(error)
  if (final !== undefined) return yield* final
  const { workspace, server } = place.hub
  const retry = Effect.retry(connectTo(workspace), {
    schedule: retries,
    while: isNotRunning
  })
  const found = yield* connectTo(workspace).pipe(
    Effect.catchIf(isNotRunning, () =>
      note("the hub has stopped; waiting for it to start again").pipe(
        Effect.andThen(retry),
        Effect.tap(() => note(`the hub is back; continuing after event ${place.after}`))
      )
    )
  )
  if (found.server.db_id !== server.db_id) {
    return yield* new CommandError({
      reason: `The hub of ${workspace} now has another database, with other events; run listen again`,
      code: "OTHER_DATABASE"
    })
  }
  // The same hub closed the connection, because this client was slow or the hub was busy. Wait before reconnecting.
  if (found.server.instance_id === server.instance_id) yield* Effect.sleep("200 millis")
  place.hub = found
})

/** The number of the newest event. */
export const newest = ({ ask }: HubClient) =>
  Effect.map(
    ask((api) => api.reads.events({ query: { tail: 1 } })),
    ({ replay_until }) => replay_until
  )

/**
 * Every event after `after`, each once and in order; all events without `subscriptions`. The stream does not end by
 * itself, and fails if the hub has another database after a restart.
 */
export const follow = (hub: HubClient, after: number, subscriptions?: Subscriptions) =>
  Stream.suspend(() => {
    const place: Place = { after, hub }
    return Stream.forever(
      Stream.suspend(() => connection(place, subscriptions)).pipe(
        Stream.catchTag("SocketError", (error) => Stream.fromEffectDrain(comeBack(place, error)))
      )
    )
  }).pipe(Stream.provide(NodeWS.layerWebSocketConstructor))
