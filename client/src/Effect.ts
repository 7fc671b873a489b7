/** The client as Effects and Streams. */
import { Api, Authorization, errors, type LiveEvent } from "@agentlip/protocol"
import { Context, Effect, Layer, Stream } from "effect"
import { FetchHttpClient, HttpClient, type HttpClientError, type HttpClientResponse } from "effect/http"
import { HttpApiClient, HttpApiMiddleware } from "effect/http-api"
import {
  type ConnectionOptions,
  eventSource,
  type HubAddress,
  type Locate,
  makeConnection
} from "./connection.ts"
import { type EventOptions, follow } from "./events.ts"
import { HubError, refusalIn } from "./HubError.ts"

export { HubError } from "./HubError.ts"
export type { ConnectionOptions, HubAddress, Locate } from "./connection.ts"

export interface FollowOptions extends Omit<EventOptions, "signal"> {}

/** Requests have this origin until the connection sends them to the hub's current address. */
const origin = "http://hub.invalid"

const hubErrorOf = (error: HttpClientError.HttpClientError): HubError => {
  const { reason } = error
  if ("cause" in reason && reason.cause instanceof HubError) return reason.cause
  return new HubError(error.message, { code: "UNREACHABLE", status: 0, cause: error })
}

const isKnown = (code: string): boolean => Object.hasOwn(errors, code)

/** Leaves the protocol's errors to their schemas. Any other error response is a `HubError`. */
const refused = Effect.fnUntraced(function* (
  response: HttpClientResponse.HttpClientResponse,
  forget: () => void
) {
  if (response.status < 400) return response
  const refusal = refusalIn(response.status, yield* Effect.mapError(response.text, hubErrorOf))
  if (refusal.code === "INVALID_AUTH") forget()
  return isKnown(refusal.code) ? response : yield* Effect.fail(refusal)
})

/**
 * Makes a client. It calls `locate` again if the hub does not respond or rejects the token, because a restarted hub has a
 * new port and token.
 */
export const make = Effect.fnUntraced(function* (locate: Locate, options: ConnectionOptions = {}) {
  const connection = makeConnection(locate, options)
  const sending = Layer.succeed(
    FetchHttpClient.Fetch,
    (input: Parameters<typeof fetch>[0], init: RequestInit = {}) =>
      connection.send(String(input).slice(origin.length), init)
  )
  const httpClient = yield* Effect.map(HttpClient.HttpClient, (client) =>
    HttpClient.transformResponse(client, (response) =>
      response.pipe(
        Effect.provide(sending),
        Effect.mapError(hubErrorOf),
        Effect.flatMap((response) => refused(response, connection.forget))
      )
    )
  ).pipe(Effect.provide(FetchHttpClient.layer))
  const api = yield* HttpApiClient.makeWith(Api, { httpClient, baseUrl: origin }).pipe(
    // The connection adds the token.
    Effect.provide(HttpApiMiddleware.layerClient(Authorization, ({ next, request }) => next(request)))
  )

  const address: Effect.Effect<HubAddress, HubError> = Effect.tryPromise({
    try: () => connection.locate(),
    catch: hubErrorFrom
  }).pipe(Effect.map(({ address }) => address))

  const newest = api.reads.events({ query: { tail: 1 } }).pipe(Effect.map(({ replay_until }) => replay_until))
  const source = eventSource(connection, (signal) => Effect.runPromise(newest, { signal }))
  const followEvents = (given: FollowOptions = {}): Stream.Stream<LiveEvent, HubError> =>
    Stream.suspend(() => {
      const stop = new AbortController()
      const events = follow(source, { ...given, signal: stop.signal })
      return Stream.fromAsyncIterable(
        {
          [Symbol.asyncIterator]: () => ({
            next: () => events.next(),
            return: () => {
              // First, because the iterator waits for the read that is open.
              stop.abort()
              return events.return(undefined)
            }
          })
        },
        hubErrorFrom
      ).pipe(Stream.ensuring(Effect.sync(() => stop.abort())))
    })
  return { api, address, follow: followEvents }
})

const hubErrorFrom = (cause: unknown): HubError =>
  cause instanceof HubError ? cause : new HubError(String(cause), { code: "UNREACHABLE", status: 0, cause })

/**
 * A client of one hub.
 *
 * - `api` has every call by its group, such as `hub.api.reads.channels({ query: {} })`. A call fails with the protocol's
 *   errors, by their codes, and with a `HubError` if the hub cannot be reached.
 * - `follow` yields live events, each once and in order, even if the hub restarts.
 * - `address` is the hub's current address.
 *
 * @example
 * ```ts
 * const program = Effect.gen(function* () {
 *   const hub = yield* HubClient
 *   const { channels } = yield* hub.api.reads.channels({ query: {} })
 *   yield* Effect.log(channels)
 *   yield* Stream.runForEach(hub.follow({ after: 0 }), ({ name }) => Effect.log(name))
 * })
 * program.pipe(Effect.provide(HubClient.layer(workspaceAddress())))
 * ```
 */
export class HubClient extends Context.Service<HubClient, Effect.Success<ReturnType<typeof make>>>()(
  "@agentlip/client/HubClient"
) {
  static readonly layer = (locate: Locate, options?: ConnectionOptions): Layer.Layer<HubClient> =>
    Layer.effect(HubClient, make(locate, options))
}
