/** Requests that arrive while the hub starts: its server listens a moment before its routes are there. */
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { errorBody } from "./Failures.ts"

const refuse = (_: IncomingMessage, response: ServerResponse): void => {
  const body = JSON.stringify(errorBody("SERVICE_UNAVAILABLE", "The hub is starting; try again"))
  response
    .writeHead(503, { "content-type": "application/json", "retry-after": "1", connection: "close" })
    .end(body)
}

const refuseUpgrade = (_: IncomingMessage, socket: Duplex): void =>
  void socket.end(
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
  )

/** Refuses requests until the server gets the listener that serves them. Node would never respond to them. */
export const refuseUntilServed = (server: Server): Server => {
  const served = (event: string | symbol): void => {
    if (event !== "request") return
    server.off("request", refuse)
    server.off("upgrade", refuseUpgrade)
    server.off("newListener", served)
  }
  return server.on("request", refuse).on("upgrade", refuseUpgrade).on("newListener", served)
}
