/** Optionally requires the token for reads, because every user of the machine can reach the hub's port. */
import { Effect } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import { isOpenToAll } from "../console/paths.ts"
import { AuthToken } from "../workspace/AuthToken.ts"
import { hasToken, isToken } from "./Auth.ts"
import { refusal } from "./Failures.ts"

type Guarded = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>

/** The routes that accept the token in the query: clients of live events cannot always set a header. */
const takesQuery = /^\/(?:ws|api\/v1\/events\/stream)\/*\?/

/** Health checks and discovery need no token, nor does the page about the interface, which a browser opens. */
const isOpen = (url: string): boolean => /^\/(?:health|docs)(?:$|[?#])/.test(url)

/** Lets `/health`, `/docs`, the console's page and requests with the token through, or all requests if reads are open. */
export const make = (readAuth: boolean): Effect.Effect<Guarded, never, AuthToken> =>
  Effect.map(AuthToken, (token): Guarded => {
    if (!readAuth) return (handler) => handler
    return (handler) =>
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const { url, headers } = request
        if (isOpen(url) || isOpenToAll(url) || hasToken(request, token)) return yield* handler
        const inQuery = takesQuery.test(url)
          ? new URLSearchParams(url.slice(url.indexOf("?"))).get("token")
          : null
        if (inQuery !== null && isToken(token, inQuery)) return yield* handler
        return headers["authorization"] === undefined && inQuery === null
          ? refusal("MISSING_AUTH", "This hub's reads need the header Authorization: Bearer <token>")
          : refusal("INVALID_AUTH", "The token is not this hub's")
      })
  })
