/**
 * Bounds the memory used by responses that clients have not read yet.
 *
 * **Details**
 *
 * - A connection has one response at a time. A pipelined request waits until the client has read the response before
 *   it.
 * - Waiting bytes are counted for all clients with the hub's token and, separately, for all without it, so that
 *   clients without the token cannot use up the share of the others. Above the bound, reads get 503 until clients read
 *   on or are disconnected because they do not (Connections.ts). A write that was done always gets its response.
 */
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import { ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { hasToken } from "./Auth.ts"
import { AuthToken } from "../workspace/AuthToken.ts"
import { refusal } from "./Failures.ts"

/** Bytes that may wait for all clients with the token, and the same for all clients without it. */
const inAll = 24 * 1024 * 1024

/** Smaller responses are not counted: Node stops reading from a connection whose client does not read. */
const counted = 4 * 1024

/** Requests of one connection that may wait for the response before them. */
const maxWaiting = 64

type Bounded = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>

/** The state of a connection. */
interface Connection {
  readonly socket: Socket
  /** The response to the latest request. */
  last: ServerResponse | undefined
  /** Requests that wait for the response before them. */
  waiting: number
  /** Called when the connection closes. Node does not notify a response that waits behind another one. */
  readonly whenClosed: Set<() => void>
}

const full = refusal(
  "SERVICE_UNAVAILABLE",
  "Too many responses wait to be read; read those that you asked for, or try again",
  { headers: { "retry-after": "1" } }
)

const isRead = ({ method }: HttpServerRequest.HttpServerRequest): boolean =>
  method === "GET" || method === "HEAD"

const connections = new WeakMap<Socket, Connection>()

const connectionOf = (socket: Socket): Connection => {
  const known = connections.get(socket)
  if (known !== undefined) return known
  const connection: Connection = { socket, last: undefined, waiting: 0, whenClosed: new Set() }
  connections.set(socket, connection)
  socket.on("close", () => connection.whenClosed.forEach((closed) => closed()))
  return connection
}

const ends = (request: HttpServerRequest.HttpServerRequest) => {
  const response = NodeHttpServerRequest.toServerResponse(request)
  // Cannot happen: the hub's server only speaks HTTP/1.1.
  if (!(response instanceof ServerResponse)) throw new Error("a request of another server")
  return { response, connection: connectionOf(NodeHttpServerRequest.toIncomingMessage(request).socket) }
}

/** Calls `over` once, when the response was read or the connection closed. Returns a function that cancels this. */
const whenOver = (response: ServerResponse, { whenClosed }: Connection, over: () => void): (() => void) => {
  const forget = (): void => {
    response.off("close", done)
    whenClosed.delete(done)
  }
  const done = (): void => {
    forget()
    over()
  }
  response.on("close", done)
  whenClosed.add(done)
  return forget
}

const over = (response: ServerResponse, connection: Connection): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (response.closed || connection.socket.destroyed) return resume(Effect.void)
    return Effect.sync(whenOver(response, connection, () => resume(Effect.void)))
  })

/** Returns a wrapper that applies the bounds to a handler. */
export const make: Effect.Effect<Bounded, never, AuthToken> = Effect.map(AuthToken, (token) => {
  const waiting = { withToken: 0, without: 0 }
  const classOf = (request: HttpServerRequest.HttpServerRequest): keyof typeof waiting =>
    hasToken(request, token) ? "withToken" : "without"

  const isFull = (request: HttpServerRequest.HttpServerRequest): boolean => {
    // Check this first, because `classOf` computes a hash.
    if (waiting.withToken < inAll && waiting.without < inAll) return false
    return isRead(request) && waiting[classOf(request)] >= inAll
  }

  const count = (request: HttpServerRequest.HttpServerRequest, bytes: number): void => {
    const { response, connection } = ends(request)
    if (response.destroyed || connection.socket.destroyed) return
    const whose = classOf(request)
    waiting[whose] += bytes
    whenOver(response, connection, () => (waiting[whose] -= bytes))
  }

  /**
   * Waits until all earlier responses of the connection were read. Returns `false` if too many requests wait already.
   */
  const turnOf = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<boolean> => {
    const { response, connection } = ends(request)
    const { last } = connection
    if (last !== undefined && !last.closed && connection.waiting >= maxWaiting) return Effect.succeed(false)
    connection.last = response
    if (last === undefined || last.closed) return Effect.succeed(true)
    connection.waiting++
    return over(last, connection).pipe(
      Effect.ensuring(Effect.sync(() => connection.waiting--)),
      Effect.as(true)
    )
  }

  const bounded: Bounded = (handler) =>
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const incoming = NodeHttpServerRequest.toIncomingMessage(request)
      const upgrades = "upgrade" in incoming && incoming.upgrade === true
      // An upgrade request is the last on its connection, and only its handler decides whether there is a response.
      if ((!upgrades && !(yield* turnOf(request))) || isFull(request)) return full
      // The client is gone.
      if (incoming.socket.destroyed) return yield* Effect.interrupt
      const response = yield* handler
      const { body } = response
      if (body._tag !== "Uint8Array" || body.contentLength < counted) return response
      // Other responses may have used up the space meanwhile.
      if (isFull(request)) return full
      count(request, body.contentLength)
      return response
    })
  return bounded
})
