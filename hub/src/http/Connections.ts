/** How long the hub keeps a connection: one that waits for its next request, and one that takes nothing. */
import { Duration } from "effect"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"

export interface ConnectionOptions {
  /**
   * How long a connection may wait for its next request. Clients are told so in the header `Keep-Alive`. Default 75
   * seconds: longer than clients keep theirs, so that they close it and no request meets a connection that is closing.
   */
  readonly keepAlive?: Duration.Input
  /** How long a client may take nothing of an answer that waits for it. Default 15 seconds. */
  readonly writeTimeout?: Duration.Input
}

/** How long a connection stays after the time that its client was told: a request may be under way. In milliseconds. */
const grace = 1_000

/** Cuts a client that takes nothing. What keeps an answer waiting may also be the hub: then it stays. */
const cutIfStuck = (socket: Socket): void => {
  if (socket.writableLength > 0) socket.destroy()
}

/** Sets the timeouts of a server that nobody has connected to yet. */
export const withTimeouts = (
  server: Server,
  { keepAlive = "75 seconds", writeTimeout = "15 seconds" }: ConnectionOptions
): Server => {
  const patience = Duration.toMillis(writeTimeout)
  const watch = ({ socket }: IncomingMessage, response: ServerResponse): void => {
    // Node sets it back when the answer is out: from then on the connection waits for its next request.
    socket.setTimeout(patience)
    response.on("timeout", cutIfStuck)
  }
  // A request to be upgraded that is answered as any other. A WebSocket sets no timeout of its socket's.
  const watchSocket = (_: IncomingMessage, socket: Duplex): void => {
    if (socket instanceof Socket) socket.setTimeout(patience, () => cutIfStuck(socket))
  }
  server.keepAliveTimeout = Duration.toMillis(keepAlive)
  server.keepAliveTimeoutBuffer = grace
  return server.on("request", watch).on("checkContinue", watch).on("upgrade", watchSocket)
}
