/** One HTTP request over one connection of its own, to an address that was looked at before. */
import { Deferred, Effect, type Scope } from "effect"
import type { LookupAddress } from "node:dns"
import * as http from "node:http"
import * as https from "node:https"
import type { LookupFunction } from "node:net"
import { literalOf } from "../capabilities/net.ts"
import { targetOf } from "./gate.ts"
import { codeOf, FetchProblem, problem } from "./problem.ts"
import type { RequestBody } from "./RequestBody.ts"

export interface Hop {
  readonly url: URL
  readonly addresses: ReadonlyArray<LookupAddress>
  readonly method: string
  readonly headers: Headers
  readonly body: RequestBody | undefined
}

/** Answers what is known already: a name is resolved once, so that no second answer can differ from the first. */
const pinned =
  (addresses: ReadonlyArray<LookupAddress>): LookupFunction =>
  (_host, options, done) => {
    const [first] = addresses
    if (options.all === true) done(null, [...addresses])
    else if (first === undefined) done(new Error("no address"), "")
    else done(null, first.address, first.family)
  }

const connect = ({ url, addresses, method, headers }: Hop): http.ClientRequest => {
  const request = (url.protocol === "https:" ? https : http).request({
    protocol: url.protocol,
    hostname: literalOf(url.hostname) ?? url.hostname,
    port: url.port,
    path: url.pathname + url.search,
    method,
    headers: Object.fromEntries(headers),
    // A connection of its own: nothing one plugin leaves on it can reach another's request.
    agent: false,
    lookup: pinned(addresses)
  })
  // The run that waits for it holds the host's process; a socket on its own must not.
  request.on("socket", (socket) => socket.unref())
  return request
}

const failed =
  (url: URL) =>
  (error: unknown): FetchProblem =>
    error instanceof FetchProblem
      ? error
      : problem(`the request to ${targetOf(url)} failed (${codeOf(error)})`)

/** Sends a request and waits for the head of its response. The connection is closed with the scope. */
export const sendRequest = (hop: Hop): Effect.Effect<http.IncomingMessage, FetchProblem, Scope.Scope> =>
  Effect.gen(function* () {
    const response = Deferred.makeUnsafe<http.IncomingMessage, FetchProblem>()
    const request = yield* Effect.acquireRelease(
      Effect.try({
        try: () => {
          const request = connect(hop)
          request.once("response", (head) => Deferred.doneUnsafe(response, Effect.succeed(head)))
          // From the start and to the end: an error that nobody listens to would be the host's. What goes wrong
          // after the head is told by the response.
          request.on("error", (error) => Deferred.doneUnsafe(response, Effect.fail(failed(hop.url)(error))))
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
