/** One HTTP request over its own connection, to an address that was checked before. */
import { Deferred, Effect } from "effect"
import type { LookupAddress } from "node:dns"
import * as http from "node:http"
import * as https from "node:https"
import { connect as connectSocket, isIP, type LookupFunction } from "node:net"
import type { Duplex } from "node:stream"
import * as tls from "node:tls"
import { literalOf, portOf } from "../capabilities/net.ts"
import { targetOf } from "./gate.ts"
import { maxHeaders } from "./requestHeaders.ts"
import type { RunTime } from "./HostTime.ts"
import { PacedSocket } from "./PacedSocket.ts"
import { codeOf, FetchProblem, problem } from "./problem.ts"
import type { RequestBody } from "./RequestBody.ts"

export interface Hop {
  readonly url: URL
  readonly addresses: ReadonlyArray<LookupAddress>
  readonly method: string
  readonly headers: Headers
  readonly body: RequestBody | undefined
  readonly time: RunTime
  /** The most bytes of the response's body. */
  readonly maxBytes: number
}

/** The most bytes of a response's head, or of its trailers. */
const maxHeaderBytes = 16 * 1024

/** The most interim responses (100, 103) before the final one. */
const maxInterim = 8

/** Only key exchanges over elliptic curves: with the others the server chooses how long they take. */
const ciphers = `TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:ECDHE+AESGCM:ECDHE+CHACHA20`

/** A look-up function that returns the checked addresses. A second resolution could return others. */
const pinned =
  (addresses: ReadonlyArray<LookupAddress>): LookupFunction =>
  (_host, options, done) => {
    const [first] = addresses
    if (options.all === true) done(null, [...addresses])
    else if (first === undefined) done(new Error("no address"), "")
    else done(null, first.address, first.family)
  }

/** Opens a connection for one request. Connections are not shared, so one plugin cannot affect another's request. */
const connection = ({ url, addresses, time, maxBytes }: Hop): Duplex => {
  const host = literalOf(url.hostname) ?? url.hostname
  const socket = connectSocket({ host, port: portOf(url), lookup: pinned(addresses) })
  // The run that waits for the response keeps the host's process alive; a socket alone must not.
  socket.unref()
  const tooMuch = problem(
    `${targetOf(url)} sent more than twice the bytes that a response may have (limits.fetchBytes)`
  )
  // Twice, to leave room for the framing of HTTP chunks and TLS records.
  const paced = new PacedSocket({ socket, time, maxBytes: 2 * (maxBytes + 64 * 1024), tooMuch })
  if (url.protocol === "http:") return paced
  return tls.connect({
    socket: paced,
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ["http/1.1"],
    ciphers
  })
}

const connect = (hop: Hop): http.ClientRequest => {
  const { url, method, headers } = hop
  return (url.protocol === "https:" ? https : http).request({
    protocol: url.protocol,
    hostname: literalOf(url.hostname) ?? url.hostname,
    port: url.port,
    path: url.pathname + url.search,
    method,
    headers: Object.fromEntries(headers),
    maxHeaderSize: maxHeaderBytes,
    createConnection: () => connection(hop)
  })
}

const failed =
  (url: URL) =>
  (error: unknown): FetchProblem =>
    error instanceof FetchProblem
      ? error
      : codeOf(error) === "HPE_HEADER_OVERFLOW"
        ? problem(`the headers of ${targetOf(url)}'s response are over ${maxHeaderBytes} bytes`)
        : problem(`the request to ${targetOf(url)} failed (${codeOf(error)})`)

/** Sends a request and waits for the head of its response. The connection closes with the scope. */
export const sendRequest = Effect.fnUntraced(function* (hop: Hop) {
  const response = Deferred.makeUnsafe<http.IncomingMessage, FetchProblem>()
  const request = yield* Effect.acquireRelease(
    Effect.try({
      try: () => {
        const request = connect(hop)
        let answered: http.IncomingMessage | undefined
        request.once("response", (head) => {
          answered = head
          // An error event without a listener would crash the host, even if nothing reads the response.
          head.on("error", () => {})
          if (head.rawHeaders.length <= 2 * maxHeaders) Deferred.doneUnsafe(response, Effect.succeed(head))
          else {
            request.destroy(
              problem(`the response of ${targetOf(hop.url)} has more than ${maxHeaders} headers`)
            )
          }
        })
        let interim = 0
        request.on("information", () => {
          if (++interim <= maxInterim) return
          request.destroy(problem(`${targetOf(hop.url)} sent more than ${maxInterim} interim responses`))
        })
        // Listens for the request's whole life: an error event without a listener would crash the host.
        request.on("error", (error) => {
          const failure = failed(hop.url)(error)
          Deferred.doneUnsafe(response, Effect.fail(failure))
          // Now, so that the response fails with this error and not with the plain end of its connection.
          answered?.destroy(failure)
        })
        request.once("close", () =>
          Deferred.doneUnsafe(response, Effect.fail(failed(hop.url)(new Error("closed without an answer"))))
        )
        return request
      },
      catch: failed(hop.url)
    }),
    (request) => Effect.sync(() => request.destroy())
  )
  if (hop.body === undefined) request.end()
  else {
    // Send the headers now: the body's first chunk may take long.
    request.flushHeaders()
    // Concurrently with the response, because a server may reply before it has read the whole body.
    yield* hop.body.writeTo(request).pipe(
      Effect.catch((failure) => Effect.sync(() => request.destroy(failure))),
      Effect.forkScoped
    )
  }
  return yield* Deferred.await(response)
})
