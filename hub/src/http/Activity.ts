/**
 * How long no client has been there, for a hub that stops by itself: a request, an event stream or a WebSocket counts
 * from its start to its end. `/health` does not count, so that monitoring keeps no hub alive.
 */
import { Clock, Context, Effect, Layer } from "effect"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { isHealth } from "./RateLimits.ts"

export class Activity extends Context.Service<
  Activity,
  {
    /** Watches a server, before its first connection. */
    readonly watch: (server: Server) => Server
    /** Milliseconds since the last client left; 0 while one is there. */
    readonly idleMillis: Effect.Effect<number>
  }
>()("@agentlip/hub/Activity") {
  static readonly layer: Layer.Layer<Activity> = Layer.effect(
    Activity,
    Effect.map(Clock.Clock, (clock) => {
      const millis = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
      let clients = 0
      let since = millis()
      const left = (): void => {
        clients--
        since = millis()
      }
      const request = ({ url = "" }: IncomingMessage, response: ServerResponse): void => {
        if (isHealth({ url })) return
        clients++
        response.on("close", left)
      }
      const upgrade = (_: IncomingMessage, socket: Duplex): void => {
        clients++
        socket.on("close", left)
      }
      return Activity.of({
        watch: (server) => server.on("request", request).on("checkContinue", request).on("upgrade", upgrade),
        idleMillis: Effect.sync(() => (clients > 0 ? 0 : millis() - since))
      })
    })
  )
}
