/** One `fetch` of a plugin, from its first request through redirects to the last byte of the response. */
import { Effect } from "effect"
import type { IncomingMessage } from "node:http"
import { pipeline, type Readable } from "node:stream"
import { createGunzip } from "node:zlib"
import type { GuestMessage, HostMessage } from "../wire/fetchMessages.ts"
import { type Gate, targetOf } from "./gate.ts"
import { headersProblem, requestHeaders, responseHeaders } from "./requestHeaders.ts"
import { type Hop, sendRequest } from "./hop.ts"
import type { RunTime } from "./HostTime.ts"
import { type FetchProblem, problem } from "./problem.ts"
import { relay, type Room } from "./relay.ts"
import type { RequestBody } from "./RequestBody.ts"

const maxRedirects = 10

export type Open = Extract<GuestMessage, { readonly op: "open" }>

export interface FetchRun {
  readonly open: Open
  readonly body: RequestBody | undefined
  readonly room: Room
  readonly time: RunTime
  readonly gate: Gate
  readonly send: (message: HostMessage) => void
  /** The most bytes of the response's body, decompressed. */
  readonly maxBytes: number
}

type Request = Pick<Hop, "url" | "method" | "headers" | "body">

const noBodyStatuses = new Set([101, 204, 205, 304])
const redirectStatuses = new Set([301, 302, 303, 307, 308])
const neverFetched = new Set(["CONNECT", "TRACE", "TRACK"])

const parseUrl = (text: string, base?: URL): Effect.Effect<URL, FetchProblem> =>
  Effect.suspend(() => {
    const url = URL.parse(text, base)
    return url === null
      ? Effect.fail(problem(`"${text.slice(0, 200)}" is not an absolute URL`))
      : Effect.succeed(url)
  })

const firstRequest = Effect.fnUntraced(function* ({ open, body }: FetchRun) {
  const { method } = open
  if (neverFetched.has(method.toUpperCase())) {
    return yield* problem(`the method ${method} cannot be used with fetch`)
  }
  if (body !== undefined && (method === "GET" || method === "HEAD")) {
    return yield* problem(`a ${method} request cannot have a body`)
  }
  const refused = headersProblem(open.headers)
  if (refused !== undefined) return yield* problem(refused)
  const headers = requestHeaders(open.headers)
  if (open.length !== undefined && body !== undefined) headers.set("content-length", String(open.length))
  else if (method === "POST" || method === "PUT") {
    if (body === undefined) headers.set("content-length", "0")
  }
  return { url: yield* parseUrl(open.url), method, headers, body }
})

/** The request that follows a redirect, by the rules of the Fetch standard. */
const redirected = (request: Request, status: number, url: URL): Request => {
  const headers = new Headers(request.headers)
  if (url.origin !== request.url.origin) {
    headers.delete("authorization")
    headers.delete("cookie")
  }
  const becomesGet =
    status === 303
      ? request.method !== "GET" && request.method !== "HEAD"
      : (status === 301 || status === 302) && request.method === "POST"
  if (!becomesGet) return { ...request, url, headers }
  // All headers about the body that the plugin may have set.
  for (const name of ["encoding", "language", "length", "location", "type"]) headers.delete(`content-${name}`)
  return { url, method: "GET", headers, body: undefined }
}

/** Fails if more than `maxBytes` pass through. */
const capped = (maxBytes: number, tooMuch: FetchProblem) =>
  async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let bytes = 0
    for await (const chunk of chunks) {
      bytes += chunk.length
      if (bytes > maxBytes) throw tooMuch
      yield chunk
    }
  }

/**
 * The decoded body. The encoded bytes are limited too: otherwise a server could keep the decoder busy with data
 * that decodes to nothing.
 */
const decoded = (
  response: IncomingMessage,
  url: URL,
  maxBytes: number,
  tooMuch: FetchProblem
): Effect.Effect<Readable, FetchProblem> => {
  const encoding = (response.headers["content-encoding"] ?? "").trim().toLowerCase()
  // An empty body is not valid gzip, but it is a valid response.
  if (encoding === "" || encoding === "identity" || response.headers["content-length"] === "0") {
    return Effect.succeed(response)
  }
  if (encoding !== "gzip" && encoding !== "x-gzip") {
    return Effect.fail(
      problem(
        `the response of ${targetOf(url)} is encoded as "${encoding.slice(0, 100)}", though gzip or nothing was asked for; have the server send either`
      )
    )
  }
  // The last stream of the pipeline reports the errors.
  return Effect.sync(() => pipeline(response, capped(maxBytes, tooMuch), createGunzip(), () => {}))
}

/** Makes one request and handles its response. Returns the next request if the response redirects. */
const step = Effect.fnUntraced(function* (fetch: FetchRun, request: Request, redirects: number) {
  const { id, redirect } = fetch.open
  const { url } = request
  const { maxBytes, time } = fetch
  const refused = time.request()
  if (refused !== undefined) return yield* refused
  const addresses = yield* fetch.gate(url)
  const response = yield* sendRequest({ ...request, addresses, time, maxBytes })
  const status = response.statusCode ?? 0
  const { location } = response.headers
  if (redirect !== "manual" && redirectStatuses.has(status) && location !== undefined) {
    if (redirect === "error") return yield* problem(`${targetOf(url)} answered with a redirect`)
    if (redirects === maxRedirects) return yield* problem(`more than ${maxRedirects} redirects`)
    return redirected(request, status, yield* parseUrl(location, url))
  }
  const tooMuch = problem(
    `the response of ${targetOf(url)} is over ${maxBytes} bytes; raise limits.fetchBytes if the plugin needs more`
  )
  const hasBody = request.method !== "HEAD" && !noBodyStatuses.has(status)
  const body = hasBody
    ? yield* Effect.acquireRelease(
        decoded(response, url, maxBytes, tooMuch),
        // The decoder may have read the whole response and still hold much of it.
        (body) => Effect.sync(() => body.destroy())
      )
    : undefined
  fetch.send({
    op: "head",
    id,
    status,
    statusText: response.statusMessage ?? "",
    headers: responseHeaders(response),
    url: url.href,
    redirected: redirects > 0
  })
  if (body !== undefined) {
    const { room, send } = fetch
    yield* relay({ id, body, room, time, send, maxBytes, tooMuch, target: targetOf(url) })
  }
  fetch.send({ op: "end", id })
  return undefined
}, Effect.scoped)

/** Runs a `fetch` to its end. Interruption closes its connection. */
export const runFetch = Effect.fnUntraced(function* (fetch: FetchRun) {
  let request: Request | undefined = yield* firstRequest(fetch)
  for (let redirects = 0; request !== undefined; redirects++) {
    request = yield* step(fetch, request, redirects)
  }
})
