/** Treats requests of a session like requests with the hub's token. */
import { Context, Effect, Redacted } from "effect"
import { Headers, HttpServerRequest, type HttpServerResponse } from "effect/http"
import { AuthToken } from "../workspace/AuthToken.ts"
import { sessionsOf } from "./Cookie.ts"
import { type Session, Sessions } from "./Sessions.ts"

/** The open session of the current request, if it has one. */
export const CurrentSession = Context.Reference<Session | undefined>("@agentlip/hub/CurrentSession", {
  defaultValue: () => undefined
})

type SignedIn = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>

/**
 * Returns a wrapper that gives a request with an open session the token's header, inside the hub only. Everything
 * behind it has one kind of authorization to check. Without an open session, the request stays as it is.
 */
export const make: Effect.Effect<SignedIn, never, AuthToken | Sessions> = Effect.gen(function* () {
  const authorization = `Bearer ${Redacted.value(yield* AuthToken)}`
  const sessions = yield* Sessions
  const signedIn: SignedIn = (handler) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const session = sessionsOf(request).find(sessions.isOpen)
      if (session === undefined) return handler
      const headers = Headers.set(request.headers, "authorization", authorization)
      return handler.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, request.modify({ headers })),
        Effect.provideService(CurrentSession, session)
      )
    })
  return signedIn
})
