/** Checks every request before routing, and sets the security headers of every response. */
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { isPage } from "../console/paths.ts"
import { refusal } from "./Failures.ts"
import { type AllowedOrigins, allowedOriginOf } from "./Origins.ts"
import { requestIdOf } from "./RequestId.ts"

/** Limits what a browser does with a response: no type sniffing, caching, referrer, loading or framing. */
export const securityHeaders = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'"
} as const

/** The loopback names. Any other name that resolves to this machine may be a DNS rebinding attack. */
const localHost = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/i

const isEncoded = (url: string): boolean => {
  try {
    decodeURIComponent(url.replace(/[?#].*$/s, ""))
    return true
  } catch {
    // Invalid percent-encoding, or bytes that are not UTF-8.
    return false
  }
}

const hostsOf = (request: HttpServerRequest.HttpServerRequest): number => {
  const { rawHeaders } = NodeHttpServerRequest.toIncomingMessage(request)
  return rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host").length
}

/** True for a link to the console's page, from wherever it was followed. The page is the same for everyone. */
const isVisit = ({ headers, method, url }: HttpServerRequest.HttpServerRequest): boolean =>
  method === "GET" &&
  headers["sec-fetch-mode"] === "navigate" &&
  headers["sec-fetch-dest"] === "document" &&
  isPage(url)

/** The reason to refuse a request, whatever its route. */
const objection = (
  request: HttpServerRequest.HttpServerRequest,
  allowed: AllowedOrigins
): HttpServerResponse.HttpServerResponse | undefined => {
  const { headers, url } = request
  const { host = "", origin, "sec-fetch-site": site } = headers
  // Node uses the first Host header, but a proxy in between may use the last one.
  if (hostsOf(request) > 1) return refusal("INVALID_INPUT", "There must be one Host header")
  if (!localHost.test(host)) {
    return refusal("FORBIDDEN", "The Host header must be 127.0.0.1, localhost or [::1]")
  }
  const isAllowed = allowedOriginOf(allowed, request) !== undefined
  // Browsers send the page's origin; other programs send none.
  if (!isAllowed && origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`) {
    return refusal("FORBIDDEN", "Pages of other origins are refused; agentlip up --allow-origin lets one in")
  }
  // Browsers send it even without an Origin: for images, scripts and links. Another local port is `same-site`.
  const isForeign = site !== undefined && site !== "same-origin" && site !== "none"
  if (isForeign && !isAllowed && !isVisit(request)) {
    return refusal("FORBIDDEN", "Pages of other sites are refused; open the address itself")
  }
  return isEncoded(url)
    ? undefined
    : refusal("INVALID_INPUT", "path: the percent-encoding is not valid UTF-8")
}

/** Refuses requests that no route should see. */
export const admitted =
  (allowed: AllowedOrigins) =>
  <E, R>(
    handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const objected = objection(request, allowed)
      return objected === undefined ? handler : Effect.succeed(objected)
    })

/** Adds the headers that every response has, unless the response has its own. */
export const withHeaders = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.map(handler, (response) =>
      HttpServerResponse.setHeaders(response, {
        ...securityHeaders,
        "x-request-id": response.headers["x-request-id"] ?? requestIdOf(request),
        ...response.headers
      })
    )
  )
