/**
 * Bounds what answers hold in memory while their clients have not taken them.
 *
 * **Details**
 *
 * - Answers that wait are counted, of each connection, and of all connections with the hub's token and without it. Who
 *   does not know the token cannot use up what is for those who do.
 * - Over a bound, reads are refused with 503 until clients have taken something, or are cut because they take nothing
 *   (Connections.ts). A write that is done is always answered.
 */
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import type { Socket } from "node:net"
import { hasToken } from "./Auth.ts"
import { AuthToken } from "../workspace/AuthToken.ts"
import { refusal } from "./Failures.ts"

/** Bytes that may wait on a connection, which can ask again before it has taken its answers. */
const perConnection = 2 * 1024 * 1024

/** Bytes that may wait for all clients with the token, and as many for all without it. */
const inAll = 24 * 1024 * 1024

/** Smaller answers are Node's to hold back: it stops reading from a connection that takes nothing. */
const counted = 4 * 1024

type Bounded = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>

const full = refusal(
  503,
  "SERVICE_UNAVAILABLE",
  "Too many answers wait to be read; read those that you asked for, or try again",
  { "retry-after": "1" }
)

const isRead = ({ method }: HttpServerRequest.HttpServerRequest): boolean =>
  method === "GET" || method === "HEAD"

/** What puts the bounds around a handler. */
export const make: Effect.Effect<Bounded, never, AuthToken> = Effect.map(AuthToken, (token) => {
  const waiting = { withToken: 0, without: 0 }
  const ofConnection = new WeakMap<Socket, number>()

  const classOf = (request: HttpServerRequest.HttpServerRequest): keyof typeof waiting =>
    hasToken(request, token) ? "withToken" : "without"

  const isFull = (request: HttpServerRequest.HttpServerRequest): boolean => {
    const { socket } = NodeHttpServerRequest.toIncomingMessage(request)
    if ((ofConnection.get(socket) ?? 0) >= perConnection) return true
    // Looked at first, because who asks takes a hash to find out.
    if (waiting.withToken < inAll && waiting.without < inAll) return false
    return waiting[classOf(request)] >= inAll
  }

  const count = (request: HttpServerRequest.HttpServerRequest, bytes: number): void => {
    const { socket } = NodeHttpServerRequest.toIncomingMessage(request)
    const response = NodeHttpServerRequest.toServerResponse(request)
    if (response.destroyed) return
    const whose = classOf(request)
    const add = (change: number): void => {
      waiting[whose] += change
      ofConnection.set(socket, (ofConnection.get(socket) ?? 0) + change)
    }
    add(bytes)
    response.once("close", () => add(-bytes))
  }

  const bounded: Bounded = (handler) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      if (isRead(request) && isFull(request)) return Effect.succeed(full)
      return Effect.map(handler, (response) => {
        const { body } = response
        if (body._tag === "Uint8Array" && body.contentLength >= counted) count(request, body.contentLength)
        return response
      })
    })
  return bounded
})
