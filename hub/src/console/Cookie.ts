/** Reads the session of a request, and writes its cookie. */
import type { HttpServerRequest } from "effect/http"
import type { Session } from "./Sessions.ts"

type Request = Pick<HttpServerRequest.HttpServerRequest, "headers" | "method">

/** Only API calls need the cookie. */
const path = "/api/v1"

const maxCookies = 8

/** Browsers share cookies between the ports of a host, and each hub has one of its own. */
const nameOf = ({ headers }: Request): string =>
  `agentlip_${/:(\d+)$/.exec(headers["host"] ?? "")?.[1] ?? "80"}`

/** The `Set-Cookie` that starts a session. It ends with the browser. */
export const setCookie = (request: Request, id: string): string =>
  `${nameOf(request)}=${id}; Path=${path}; HttpOnly; SameSite=Strict`

/** The `Set-Cookie` that removes the cookie. */
export const removeCookie = (request: Request): string => `${setCookie(request, "")}; Max-Age=0`

/** Another server on this host may have planted cookies of the same name, so there may be several. */
const idsOf = (request: Request): ReadonlyArray<string> => {
  const name = `${nameOf(request)}=`
  return (request.headers["cookie"] ?? "")
    .split(/; */)
    .filter((pair) => pair.startsWith(name))
    .slice(0, maxCookies)
    .map((pair) => pair.slice(name.length))
}

/** The page keeps the key and sends it with each call, which no form or link of another site can do. */
const keyOf = ({ headers }: Request): string | undefined =>
  /^Session +(\S+)$/i.exec(headers["authorization"] ?? "")?.[1]

const isRead = ({ method }: Request): boolean => method === "GET" || method === "HEAD"

/**
 * True if a page of this hub sent the request. Browsers always send these headers to this machine's addresses;
 * `Guard.ts` has compared a given Origin.
 */
const isSameOrigin = (request: Request): boolean =>
  request.headers["sec-fetch-site"] === "same-origin" &&
  (isRead(request) || request.headers["origin"] !== undefined)

/** The sessions that a request from a page of this hub may belong to. At most one of them is open. */
export const sessionsOf = (request: Request): ReadonlyArray<Session> => {
  const key = keyOf(request)
  return key === undefined || !isSameOrigin(request) ? [] : idsOf(request).map((id) => ({ id, key }))
}
