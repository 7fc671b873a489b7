/**
 * Lets pages of chosen origins use the hub from a browser (CORS). Every other page is refused, see Guard.ts.
 *
 * **Details**: such a page sends the token like any other client. It cannot use the console's session: the hub never
 * allows credentials, and the session's cookie counts for the hub's own pages only.
 */
import { Effect, Schema } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"

/** What `--allow-origin` names is not the origin of a page. */
export class OriginRefused extends Schema.TaggedError<OriginRefused>("@agentlip/hub/OriginRefused")(
  "OriginRefused",
  { origin: Schema.String }
) {
  override get message(): string {
    return `${this.origin} is not an origin: pass scheme, host and port only, such as http://localhost:5173`
  }
}

/** Origins as browsers send them. `null`, wildcards and paths are no origins. */
export type AllowedOrigins = ReadonlySet<string>

const isOrigin = (text: string): boolean => {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text && !text.includes("*")
}

/** Fails with `OriginRefused` for the first text that is not an origin. */
export const parse = (origins: ReadonlyArray<string>): Effect.Effect<AllowedOrigins, OriginRefused> => {
  const wrong = origins.find((origin) => !isOrigin(origin))
  return wrong === undefined
    ? Effect.succeed(new Set(origins))
    : Effect.fail(new OriginRefused({ origin: wrong }))
}

/** The request's origin, if it is allowed. */
export const allowedOriginOf = (
  allowed: AllowedOrigins,
  { headers }: HttpServerRequest.HttpServerRequest
): string | undefined => {
  const { origin } = headers
  return origin !== undefined && allowed.has(origin) ? origin : undefined
}

type Handler<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

const preflight = {
  "access-control-allow-methods": "GET, POST, PATCH, DELETE",
  "access-control-allow-headers": "authorization, content-type, idempotency-key, last-event-id, x-request-id",
  // In seconds.
  "access-control-max-age": "600"
} as const

/** Answers the question that a browser asks before it sends a request of a page. The token is not needed for it. */
export const answerPreflights =
  (allowed: AllowedOrigins) =>
  <E, R>(handler: Handler<E, R>): Handler<E, R | HttpServerRequest.HttpServerRequest> =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const { method, headers } = request
      const asks = method === "OPTIONS" && headers["access-control-request-method"] !== undefined
      if (!asks || allowedOriginOf(allowed, request) === undefined) return handler
      // Chrome asks it for pages of public addresses.
      const isPublic = headers["access-control-request-private-network"] === "true"
      return Effect.succeed(
        HttpServerResponse.empty({
          headers: { ...preflight, ...(isPublic ? { "access-control-allow-private-network": "true" } : {}) }
        })
      )
    })

/** Lets the page that sent the request read the response, errors too. */
export const shareWithAllowed =
  (allowed: AllowedOrigins) =>
  <E, R>(handler: Handler<E, R>): Handler<E, R | HttpServerRequest.HttpServerRequest> =>
    allowed.size === 0
      ? handler
      : Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          const origin = allowedOriginOf(allowed, request)
          return Effect.map(
            handler,
            HttpServerResponse.setHeaders({
              // A cache must not give one page's response to another.
              vary: "origin",
              ...(origin === undefined
                ? {}
                : {
                    "access-control-allow-origin": origin,
                    "access-control-expose-headers":
                      "retry-after, x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset"
                  })
            })
          )
        })
