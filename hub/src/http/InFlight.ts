/**
 * Bounds what answers hold in memory while their clients have not taken them.
 *
 * **Details**
 *
 * - A connection has one answer at a time: what a client asks for before it has taken its answer waits until then.
 * - Answers that wait are counted, of all clients with the hub's token and of all without it: who does not know the
 *   token cannot use up what is for those who do. Over the bound, reads are refused with 503 until clients have taken
 *   something, or are cut because they take nothing (Connections.ts). A write that is done is always answered.
 */
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import { ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { hasToken } from "./Auth.ts"
import { AuthToken } from "../workspace/AuthToken.ts"
import { refusal } from "./Failures.ts"

/** Bytes that may wait for all clients with the token, and as many for all without it. */
const inAll = 24 * 1024 * 1024

/** Smaller answers are Node's to hold back: it stops reading from a connection that takes nothing. */
const counted = 4 * 1024

/** Requests of a connection that may wait for the answer before theirs. */
const maxWaiting = 64

type Bounded = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>

/** What is known of a connection. */
interface Connection {
  readonly socket: Socket
  /** The answer to what was asked for last. */
  last: ServerResponse | undefined
  /** Requests that wait for the answer before theirs. */
  waiting: number
  /** Called when it closes: Node says nothing to an answer that was waiting for the one before it. */
  readonly whenClosed: Set<() => void>
}

const full = refusal(
  503,
  "SERVICE_UNAVAILABLE",
  "Too many answers wait to be read; read those that you asked for, or try again",
  { "retry-after": "1" }
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
  // The hub's server speaks HTTP/1.1 only.
  if (!(response instanceof ServerResponse)) throw new Error("a request of another server")
  return { response, connection: connectionOf(NodeHttpServerRequest.toIncomingMessage(request).socket) }
}

/** Calls back once, when the answer is taken or nobody is there any more to take it; answers how not to. */
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

/** What puts the bounds around a handler. */
export const make: Effect.Effect<Bounded, never, AuthToken> = Effect.map(AuthToken, (token) => {
  const waiting = { withToken: 0, without: 0 }
  const classOf = (request: HttpServerRequest.HttpServerRequest): keyof typeof waiting =>
    hasToken(request, token) ? "withToken" : "without"

  const isFull = (request: HttpServerRequest.HttpServerRequest): boolean => {
    // Looked at first, because who asks takes a hash to find out.
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

  /** Answers when all that was asked for before on this connection is taken; `false`: too much waits already. */
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
      // One that is to be upgraded is the last of its connection, and has no answer in HTTP before its handler says so.
      if ((!upgrades && !(yield* turnOf(request))) || isFull(request)) return full
      // Who asked is gone.
      if (incoming.socket.destroyed) return yield* Effect.interrupt
      const response = yield* handler
      const { body } = response
      if (body._tag !== "Uint8Array" || body.contentLength < counted) return response
      // Others may have used up what there was meanwhile.
      if (isFull(request)) return full
      count(request, body.contentLength)
      return response
    })
  return bounded
})
