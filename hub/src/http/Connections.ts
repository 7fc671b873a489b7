/** Timeouts of connections: while idle, and while the client does not read. */
import { Duration } from "effect"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"

export interface ConnectionOptions {
  /**
   * How long a connection may wait for its next request. Clients learn it from the header `Keep-Alive`. Default 75
   * seconds: longer than most clients keep a connection. So the client closes it, and no request arrives while the hub
   * is closing it.
   */
  readonly keepAlive?: Duration.Input
  /** How long a client may read nothing of a waiting response. Default 15 seconds. */
  readonly writeTimeout?: Duration.Input
}

/** Extra time beyond what the client was told, because a request may be on its way. In milliseconds. */
const grace = 1_000

/** Disconnects a client that reads nothing. If the hub has not written the response yet, the connection stays. */
const cutIfStuck = (socket: Socket): void => {
  if (socket.writableLength > 0) socket.destroy()
}

/** Sets the timeouts of a server before its first connection. */
export const withTimeouts = (
  server: Server,
  { keepAlive = "75 seconds", writeTimeout = "15 seconds" }: ConnectionOptions
): Server => {
  const patience = Duration.toMillis(writeTimeout)
  const watch = ({ socket }: IncomingMessage, response: ServerResponse): void => {
    // Node resets this timeout after the response, when the connection waits for its next request.
    socket.setTimeout(patience)
    response.on("timeout", cutIfStuck)
  }
  // Covers upgrade requests that get a normal response. A WebSocket removes this timeout again.
  const watchSocket = (_: IncomingMessage, socket: Duplex): void => {
    if (socket instanceof Socket) socket.setTimeout(patience, () => cutIfStuck(socket))
  }
  server.keepAliveTimeout = Duration.toMillis(keepAlive)
  server.keepAliveTimeoutBuffer = grace
  return server.on("request", watch).on("checkContinue", watch).on("upgrade", watchSocket)
}
