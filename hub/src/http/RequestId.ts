/** `X-Request-ID`: names a request in the response and in the log, so that a client can find what happened to it. */
import { HttpServerRequest } from "effect/http"
import { randomUUID } from "node:crypto"

/** What the client sent, if it is safe to repeat in a header and a log line. Otherwise a new id. */
export const requestIdOf = ({ headers }: HttpServerRequest.HttpServerRequest): string => {
  const given = headers["x-request-id"]
  return given !== undefined && /^[\w.:/=+@~-]{1,128}$/.test(given) ? given : randomUUID()
}
