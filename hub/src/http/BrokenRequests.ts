/** Node's HTTP server, with the protocol's error format even for input that is not valid HTTP. */
import { randomUUID } from "node:crypto"
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { type ErrorCode, errors } from "@agentlip/protocol"
import { type ConnectionOptions, withTimeouts } from "./Connections.ts"
import { errorBody } from "./Failures.ts"
import { refuseUntilServed } from "./EarlyRequests.ts"
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
const refuse = (
  socket: Duplex,
  code: ErrorCode,
  error: string,
  status: number = errors[code].status
): void => {
  const body = JSON.stringify(errorBody(code, error))
  const headers = {
    ...securityHeaders,
    "x-request-id": randomUUID(),
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
  refuse(socket, "INVALID_INPUT", `The request is not valid HTTP: ${text}`, status)
}

const refuseTunnel = (_: IncomingMessage, socket: Duplex): void =>
  refuse(socket, "METHOD_NOT_ALLOWED", "The hub is no proxy: it has no CONNECT")

const refuseExpectation = ({ socket }: IncomingMessage): void =>
  refuse(socket, "INVALID_INPUT", "Expect: only 100-continue is understood", 417)

/** Accepts requests without a Host, so that `Guard.ts` can explain the error. */
export const createHubServer = (connections: ConnectionOptions): Server =>
  refuseUntilServed(
    withTimeouts(
      createServer({ requireHostHeader: false })
        .on("clientError", answer)
        .on("connect", refuseTunnel)
        .on("checkExpectation", refuseExpectation),
      connections
    )
  )
