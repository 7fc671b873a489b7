/** What is asked of every request before any route sees it, and said with every answer. */
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { refusal } from "./Failures.ts"

/** For a browser that gets here in whatever way: it shows, runs, keeps and tells on nothing. */
export const securityHeaders = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'"
} as const

/** Names of this machine for itself. Another name that leads here is somebody's trick (DNS rebinding). */
const localHost = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/i

const isEncoded = (url: string): boolean => {
  try {
    decodeURIComponent(url.replace(/[?#].*$/s, ""))
    return true
  } catch {
    // A % that stands for nothing, or bytes that are no UTF-8.
    return false
  }
}

const hostsOf = (request: HttpServerRequest.HttpServerRequest): number => {
  const { rawHeaders } = NodeHttpServerRequest.toIncomingMessage(request)
  return rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host").length
}

/** Why a request is refused whatever it asks for. */
const objection = (
  request: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse | undefined => {
  const { headers, url } = request
  const { host = "", origin, "sec-fetch-site": site } = headers
  // Node keeps the first of them; what is between it and the client may go by the last.
  if (hostsOf(request) > 1) return refusal(400, "INVALID_INPUT", "There must be one Host header")
  if (!localHost.test(host)) {
    return refusal(403, "INVALID_INPUT", "The Host header must be 127.0.0.1, localhost or [::1]")
  }
  // Browsers name the page that asks; programs name nothing.
  if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`) {
    return refusal(403, "INVALID_INPUT", "Pages of other origins are not answered")
  }
  // They say so also of requests that have no Origin: images, scripts, links. Another port here is `same-site`.
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    return refusal(403, "INVALID_INPUT", "Pages of other sites are not answered; open the address itself")
  }
  return isEncoded(url)
    ? undefined
    : refusal(400, "INVALID_INPUT", "path: the percent-encoding is not valid UTF-8")
}

/** Refuses what no route is to see. */
export const admitted = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const objected = objection(request)
    return objected === undefined ? handler : Effect.succeed(objected)
  })

/** With the headers that every answer has. */
export const secured = (
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => HttpServerResponse.setHeaders(response, securityHeaders)
