/** One HTTP request over one connection of its own, to an address that was looked at before. */
import { Deferred, Effect, type Scope } from "effect"
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

/** Bytes of a response's head, or of its trailers. */
const maxHeaderBytes = 16 * 1024

/** Interim responses (100, 103) before the one that counts. */
const maxInterim = 8

/** Key exchanges over elliptic curves only: the others let a server choose how long they take. */
const ciphers = `TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:ECDHE+AESGCM:ECDHE+CHACHA20`

/** Answers what is known already: a name is resolved once, so that no second answer can differ from the first. */
const pinned =
  (addresses: ReadonlyArray<LookupAddress>): LookupFunction =>
  (_host, options, done) => {
    const [first] = addresses
    if (options.all === true) done(null, [...addresses])
    else if (first === undefined) done(new Error("no address"), "")
    else done(null, first.address, first.family)
  }

/** A connection of its own: nothing one plugin leaves on it can reach another's request. */
const connection = ({ url, addresses, time, maxBytes }: Hop): Duplex => {
  const host = literalOf(url.hostname) ?? url.hostname
  const socket = connectSocket({ host, port: portOf(url), lookup: pinned(addresses) })
  // The run that waits for it holds the host's process; a socket on its own must not.
  socket.unref()
  const tooMuch = problem(
    `${targetOf(url)} sent more than twice the bytes that a response may have (limits.fetchBytes)`
  )
  // Twice, for what chunks and records put around a body.
  const paced = new PacedSocket(socket, time, 2 * (maxBytes + 64 * 1024), tooMuch)
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

/** Sends a request and waits for the head of its response. The connection is closed with the scope. */
export const sendRequest = (hop: Hop): Effect.Effect<http.IncomingMessage, FetchProblem, Scope.Scope> =>
  Effect.gen(function* () {
    const response = Deferred.makeUnsafe<http.IncomingMessage, FetchProblem>()
    const request = yield* Effect.acquireRelease(
      Effect.try({
        try: () => {
          const request = connect(hop)
          let answered: http.IncomingMessage | undefined
          request.once("response", (head) => {
            answered = head
            // Somebody has to hear of what goes wrong with it, even if nobody reads it.
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
          // From the start and to the end: an error that nobody listens to would be the host's.
          request.on("error", (error) => {
            const failure = failed(hop.url)(error)
            Deferred.doneUnsafe(response, Effect.fail(failure))
            // Before it is told the mere end of its connection.
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
      // Not with the first of the body, which may be long in coming.
      request.flushHeaders()
      // Side by side with the response: a server may answer before it has read everything.
      yield* hop.body.writeTo(request).pipe(
        Effect.catch((failure) => Effect.sync(() => request.destroy(failure))),
        Effect.forkScoped
      )
    }
    return yield* Deferred.await(response)
  })
