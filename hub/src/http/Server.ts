/** The HTTP server: loopback only. */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "@agentlip/protocol"
import { AuthorizationLive } from "./Auth.ts"
import { createHubServer } from "./BrokenRequests.ts"
import type { ConnectionOptions } from "./Connections.ts"
import * as EventStream from "./EventStream.ts"
import * as Failures from "./Failures.ts"
import { Feed } from "../core/Feed.ts"
import { admitted, secured } from "./Guard.ts"
import { HandlersLive } from "./Handlers.ts"
import { IdempotencyLive } from "./Idempotency.ts"
import * as InFlight from "./InFlight.ts"
import * as MetricsRoute from "./MetricsRoute.ts"
import { OperationHandlersLive } from "./OperationHandlers.ts"
import * as OtherMethods from "./OtherMethods.ts"
import * as RateLimits from "./RateLimits.ts"
import * as ReadAuth from "./ReadAuth.ts"
import * as Socket from "./Socket.ts"
import { TextBodyLive } from "./TextBodies.ts"

/** The hub gives its data to whoever reaches it, so it is reached from this machine only. */
export class HostRefused extends Schema.TaggedError<HostRefused>("@agentlip/hub/HostRefused")("HostRefused", {
  host: Schema.String
}) {
  override get message(): string {
    return `The hub binds to 127.0.0.1 or ::1 only, not to ${this.host}.`
  }
}

/** No such port exists. */
export class PortRefused extends Schema.TaggedError<PortRefused>("@agentlip/hub/PortRefused")("PortRefused", {
  port: Schema.Number
}) {
  override get message(): string {
    return `The port must be a whole number from 0 to 65535, not ${this.port}.`
  }
}

/** What open requests have to finish in; the hub is down within two seconds, whatever they do. */
const gracefulShutdownTimeout = "1 second"

const loopback = ["127.0.0.1", "::1"]

export interface ServerOptions {
  /** `127.0.0.1` (default) or `::1`. */
  readonly host?: string
  /** 0 (default) takes a free one. */
  readonly port?: number
  /** What is more is refused with 429. Default 100 requests a second of a client, 1,000 in all; `false`: no limits. */
  readonly rateLimits?: RateLimits.RateLimits | false
  /** Whether reads need the token too, `/health` apart. Default `false`: every user of the machine can read. */
  readonly readAuth?: boolean
  /** How long connections are kept that wait, or that take nothing. */
  readonly connections?: ConnectionOptions
}

/** Around every route, those that do not exist included. */
const everyRequest = (rateLimits: RateLimits.RateLimits | false, readAuth: boolean) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const limited = yield* RateLimits.make(rateLimits)
      const bounded = yield* InFlight.make
      const authorized = yield* ReadAuth.make(readAuth)
      const answered = yield* Failures.make
      return HttpRouter.middleware(
        (handler) => handler.pipe(authorized, bounded, limited, admitted, answered, Effect.map(secured)),
        { global: true }
      )
    })
  )

const routes = (rateLimits: RateLimits.RateLimits | false, readAuth: boolean) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }),
    MetricsRoute.layer,
    Socket.layer,
    EventStream.layer,
    OtherMethods.layer,
    everyRequest(rateLimits, readAuth)
  ).pipe(
    Layer.provide([HandlersLive(readAuth), OperationHandlersLive]),
    Layer.provide([AuthorizationLive, Failures.ValidationLive, IdempotencyLive, TextBodyLive])
  )

/** Built after the server, so that it lets the clients go before the server waits for them. */
const farewell = Layer.effectDiscard(Effect.flatMap(Feed, ({ stop }) => Effect.addFinalizer(() => stop)))

/** Serves the API, the live events and the metrics, and gives the `HttpServer` that knows its address. */
export const layer = ({
  host = "127.0.0.1",
  port = 0,
  rateLimits = {},
  readAuth = false,
  connections = {}
}: ServerOptions) =>
  Layer.unwrap(
    Effect.gen(function* () {
      if (!loopback.includes(host)) return yield* new HostRefused({ host })
      if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) return yield* new PortRefused({ port })
      const websocket = { maxPayload: Socket.maxPayload }
      const serve = HttpRouter.serve(routes(rateLimits, readAuth), {
        disableLogger: true,
        disableListenLog: true
      })
      return farewell.pipe(
        Layer.provideMerge(serve),
        Layer.provideMerge(
          NodeHttpServer.layer(() => createHubServer(connections), {
            host,
            port,
            gracefulShutdownTimeout,
            websocket
          })
        )
      )
    })
  )
