/** Node's HTTP server, which answers also what is no HTTP in the protocol's shape. */
import { createServer, type Server, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { type ConnectionOptions, withTimeouts } from "./Connections.ts"
import { securityHeaders } from "./Guard.ts"

const statusOf = (error: NodeJS.ErrnoException): number => {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return 431
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return 408
    default:
      return 400
  }
}

const answer = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  // Gone, or in the middle of an answer that nothing can be put into.
  if (
    error.code === "ECONNRESET" ||
    !socket.writable ||
    ("bytesWritten" in socket && socket.bytesWritten !== 0)
  ) {
    socket.destroy()
    return
  }
  const status = statusOf(error)
  const text = STATUS_CODES[status] ?? "Bad Request"
  const body = JSON.stringify({
    error: `The request is no HTTP that can be read: ${text}`,
    code: "INVALID_INPUT"
  })
  const headers = {
    ...securityHeaders,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    connection: "close"
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end([`HTTP/1.1 ${status} ${text}`, ...lines, "", body].join("\r\n"))
}

/** A request without a Host is left to the guard, which says what is wrong with it. */
export const createHubServer = (connections: ConnectionOptions): Server =>
  withTimeouts(createServer({ requireHostHeader: false }).on("clientError", answer), connections)
