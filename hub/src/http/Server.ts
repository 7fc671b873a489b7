/** The HTTP server. It listens on loopback addresses only. */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Api, EveryRequest, ReadAuthorization } from "@agentlip/protocol"
import { Activity } from "./Activity.ts"
import { AuthorizationLive } from "./Auth.ts"
import { createHubServer } from "./BrokenRequests.ts"
import type { ConnectionOptions } from "./Connections.ts"
import { ConsoleHandlersLive } from "./ConsoleHandlers.ts"
import * as ConsoleRoutes from "./ConsoleRoutes.ts"
import { DryRunHandlersLive } from "./DryRunHandlers.ts"
import * as DocsPage from "./DocsPage.ts"
import { EventStreamLive } from "./EventStream.ts"
import * as Failures from "./Failures.ts"
import { Sessions } from "../console/Sessions.ts"
import * as SignedIn from "../console/SignedIn.ts"
import { Feed } from "../core/Feed.ts"
import { admitted, withHeaders } from "./Guard.ts"
import { HandlersLive } from "./Handlers.ts"
import { IdempotencyLive } from "./Idempotency.ts"
import * as InFlight from "./InFlight.ts"
import { MetricsLive } from "./MetricsHandler.ts"
import { OperationHandlersLive } from "./OperationHandlers.ts"
import * as Origins from "./Origins.ts"
import * as OtherMethods from "./OtherMethods.ts"
import * as RateLimits from "./RateLimits.ts"
import * as ReadAuth from "./ReadAuth.ts"
import { SearchHandlersLive } from "./SearchHandlers.ts"
import * as Socket from "./Socket.ts"
import { TextBodyLive } from "./TextBodies.ts"

/** The host is not a loopback address. Every client can read the hub's data, so only this machine may reach it. */
export class HostRefused extends Schema.TaggedError<HostRefused>("@agentlip/hub/HostRefused")("HostRefused", {
  host: Schema.String
}) {
  override get message(): string {
    return `The hub binds to 127.0.0.1 or ::1 only, not to ${this.host}.`
  }
}

/** The port number is out of range. */
export class PortRefused extends Schema.TaggedError<PortRefused>("@agentlip/hub/PortRefused")("PortRefused", {
  port: Schema.Number
}) {
  override get message(): string {
    return `The port must be a whole number from 0 to 65535, not ${this.port}.`
  }
}

/** Time for open requests to finish at a stop. The hub is down within two seconds, whatever they do. */
const gracefulShutdownTimeout = "1 second"

const loopback = ["127.0.0.1", "::1"]

export interface ServerOptions {
  /** `127.0.0.1` (default) or `::1`. */
  readonly host?: string
  /** 0 (default) picks a free port. */
  readonly port?: number
  /**
   * Requests above the limit get 429. Default 100 requests per second for a client, 1,000 in all. `false` disables
   * limits.
   */
  readonly rateLimits?: RateLimits.RateLimits | false
  /** Reads need the token too, except `/health`. Default `false`: every user of the machine can read. */
  readonly readAuth?: boolean
  /** Origins of pages that may use the hub from a browser, such as `http://localhost:5173`. Default none. */
  readonly allowOrigins?: ReadonlyArray<string>
  /** Timeouts of idle connections and of clients that do not read. */
  readonly connections?: ConnectionOptions
}

interface RouteOptions {
  readonly rateLimits: RateLimits.RateLimits | false
  readonly readAuth: boolean
  readonly origins: Origins.AllowedOrigins
}

/** Wraps every route, and requests for routes that do not exist. */
const everyRequest = ({ rateLimits, readAuth, origins }: RouteOptions) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const limited = yield* RateLimits.make(rateLimits)
      const bounded = yield* InFlight.make
      const authorized = yield* ReadAuth.make(readAuth)
      const signedIn = yield* SignedIn.make
      const answered = yield* Failures.make
      return HttpRouter.middleware(
        (handler) =>
          handler.pipe(
            authorized,
            bounded,
            Origins.answerPreflights(origins),
            answered,
            limited,
            signedIn,
            admitted(origins),
            Origins.shareWithAllowed(origins),
            withHeaders
          ),
        { global: true }
      )
    })
  )

/** `everyRequest` raises these errors. The middlewares only declare them for clients and for the OpenAPI document. */
const DeclaredLive = Layer.mergeAll(
  Layer.succeed(
    EveryRequest,
    EveryRequest.of((handler) => handler)
  ),
  Layer.succeed(
    ReadAuthorization,
    ReadAuthorization.of((handler) => handler)
  )
)

const routes = (options: RouteOptions) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }),
    DocsPage.layer,
    Socket.layer,
    ConsoleRoutes.layer,
    OtherMethods.layer,
    everyRequest(options)
  ).pipe(
    Layer.provide([
      HandlersLive(options.readAuth),
      OperationHandlersLive,
      SearchHandlersLive,
      EventStreamLive,
      MetricsLive,
      ConsoleHandlersLive,
      DryRunHandlersLive
    ]),
    Layer.provide([DeclaredLive, AuthorizationLive, Failures.ValidationLive, IdempotencyLive, TextBodyLive]),
    Layer.provide(Sessions.layer)
  )

/** Built after the server, so that at a stop the clients of live events leave before the server waits for them. */
const farewell = Layer.effectDiscard(Effect.flatMap(Feed, ({ stop }) => Effect.addFinalizer(() => stop)))

/** Serves the API, live events and metrics. Provides the `HttpServer`, which knows its address. */
export const layer = ({
  host = "127.0.0.1",
  port = 0,
  rateLimits = {},
  readAuth = false,
  allowOrigins = [],
  connections = {}
}: ServerOptions) =>
  Layer.unwrap(
    Effect.gen(function* () {
      if (!loopback.includes(host)) return yield* new HostRefused({ host })
      if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) return yield* new PortRefused({ port })
      const origins = yield* Origins.parse(allowOrigins)
      const { watch } = yield* Activity
      const websocket = { maxPayload: Socket.maxPayload }
      const serve = HttpRouter.serve(routes({ rateLimits, readAuth, origins }), {
        disableLogger: true,
        disableListenLog: true
      })
      return farewell.pipe(
        Layer.provideMerge(serve),
        Layer.provideMerge(
          NodeHttpServer.layer(() => watch(createHubServer(connections)), {
            host,
            port,
            gracefulShutdownTimeout,
            websocket
          })
        )
      )
    })
  )
