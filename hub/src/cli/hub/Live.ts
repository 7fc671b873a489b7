/** The hub's events as they happen, over its WebSocket; a hub that goes and comes back leaves no gap. */
import { NodeWS } from "@effect/platform-node"
import { Console, Effect, Redacted, Schedule, Schema, Stream } from "effect"
import { Socket } from "effect/socket"
import type { Subscriptions } from "../../core/Feed.ts"
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

/** An event, and the JSON that it came as. */
export type LiveEvent = typeof LiveEvent.Type & { readonly text: string }

const decodeFrame = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Union([LiveEvent, HelloOk])))

const notTheProtocol = (what: string) =>
  new CommandError({ reason: `The hub sent an unexpected event: ${what}`, code: "PROTOCOL" })

interface Place {
  /** The last event that is known. */
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

/** Of one connection, until it ends. */
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

/** What trying again cannot mend. */
const fatal = ({ reason }: Socket.SocketError): CommandError | undefined => {
  if (reason._tag !== "SocketCloseError" || ![1003, 1009].includes(reason.code)) return undefined
  return notTheProtocol(`it closed with ${reason.message}`)
}

const note = (text: string) =>
  Effect.flatMap(Json, (json) => (json ? Effect.void : Console.error(`agentlip: ${text}`)))

const retries = Schedule.min([Schedule.exponential("100 millis", 1.5), Schedule.spaced("2 seconds")])

const isNotRunning = ({ exitCode }: CommandError): boolean => exitCode === exitCodes.notRunning

/** Finds the hub again once it is back: with a new port and a new token. */
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
  // Cut off for being slow or refused for the moment: at once is too soon.
  if (found.server.instance_id === server.instance_id) yield* Effect.sleep("200 millis")
  place.hub = found
})

/** The number of the newest event there is. */
export const newest = ({ ask }: HubClient) =>
  Effect.map(
    ask((api) => api.reads.events({ query: { tail: 1 } })),
    ({ replay_until }) => replay_until
  )

/** Every event after one, in their order, each once; without `subscriptions`, of everything. It does not end. */
export const follow = (hub: HubClient, after: number, subscriptions?: Subscriptions) =>
  Stream.suspend(() => {
    const place: Place = { after, hub }
    return Stream.forever(
      Stream.suspend(() => connection(place, subscriptions)).pipe(
        Stream.catchTag("SocketError", (error) => Stream.fromEffectDrain(comeBack(place, error)))
      )
    )
  }).pipe(Stream.provide(NodeWS.layerWebSocketConstructor))
