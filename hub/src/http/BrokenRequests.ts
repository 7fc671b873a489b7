/** Node's HTTP server, with the protocol's error format even for input that is not valid HTTP. */
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from "node:http"
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

/** Writes an error response to the socket, for input that never becomes a request. */
const refuse = (socket: Duplex, status: number, code: string, error: string): void => {
  const body = JSON.stringify({ error, code })
  const headers = {
    ...securityHeaders,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    connection: "close"
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end([`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`, ...lines, "", body].join("\r\n"))
}

const answer = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  // The connection is closed, or in the middle of a response.
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
  refuse(socket, status, "INVALID_INPUT", `The request is no HTTP that can be read: ${text}`)
}

const refuseTunnel = (_: IncomingMessage, socket: Duplex): void =>
  refuse(socket, 405, "NOT_FOUND", "The hub is no proxy: it has no CONNECT")

const refuseExpectation = ({ socket }: IncomingMessage): void =>
  refuse(socket, 417, "INVALID_INPUT", "Expect: only 100-continue is understood")

/** Accepts requests without a Host, so that `Guard.ts` can explain the error. */
export const createHubServer = (connections: ConnectionOptions): Server =>
  withTimeouts(
    createServer({ requireHostHeader: false })
      .on("clientError", answer)
      .on("connect", refuseTunnel)
      .on("checkExpectation", refuseExpectation),
    connections
  )
