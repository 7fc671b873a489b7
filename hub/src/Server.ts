/** The HTTP server: loopback only. */
import type { ConfiguredSpec } from "@agentlip/plugin-runtime"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { createServer } from "node:http"
import { Api } from "./Api.ts"
import { AuthorizationLive } from "./Auth.ts"
import * as EventStream from "./EventStream.ts"
import * as Failures from "./Failures.ts"
import { Feed } from "./Feed.ts"
import { HandlersLive } from "./Handlers.ts"
import * as MetricsRoute from "./MetricsRoute.ts"
import * as Socket from "./Socket.ts"

/** The hub gives its data to whoever reaches it, so it is reached from this machine only. */
export class HostRefused extends Schema.TaggedError<HostRefused>("@agentlip/hub/HostRefused")("HostRefused", {
  host: Schema.String
}) {
  override get message(): string {
    return `The hub binds to 127.0.0.1 or ::1 only, not to ${this.host}.`
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
}

const routes = (specs: ReadonlyArray<ConfiguredSpec>) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }),
    MetricsRoute.layer(specs),
    Socket.layer,
    EventStream.layer,
    Failures.layer
  ).pipe(Layer.provide(HandlersLive), Layer.provide([AuthorizationLive, Failures.ValidationLive]))

/** Built after the server, so that it lets the clients go before the server waits for them. */
const farewell = Layer.effectDiscard(Effect.flatMap(Feed, ({ stop }) => Effect.addFinalizer(() => stop)))

/** Serves the API, the live events and the metrics, and gives the `HttpServer` that knows its address. */
export const layer = (
  specs: ReadonlyArray<ConfiguredSpec>,
  { host = "127.0.0.1", port = 0 }: ServerOptions
) =>
  Layer.unwrap(
    Effect.gen(function* () {
      if (!loopback.includes(host)) return yield* new HostRefused({ host })
      const websocket = { maxPayload: Socket.maxPayload }
      return farewell.pipe(
        Layer.provideMerge(HttpRouter.serve(routes(specs), { disableLogger: true, disableListenLog: true })),
        Layer.provideMerge(
          NodeHttpServer.layer(createServer, { host, port, gracefulShutdownTimeout, websocket })
        )
      )
    })
  )
