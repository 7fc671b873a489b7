/** Serves the page of the web console and its files. */
import { Effect, type Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { type ConsoleFile, consoleFiles } from "../console/Files.ts"
import { filePath, pagePaths } from "../console/paths.ts"
import { refusal } from "./Failures.ts"

/** The page runs its own script and style only, talks to this hub only, and turns no text into markup. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'"
].join("; ")

const pageHeaders = {
  "content-security-policy": contentSecurityPolicy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "x-frame-options": "DENY"
}

const acceptsGzip = (header = ""): boolean => /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(header)

const send = ({ headers }: HttpServerRequest.HttpServerRequest, file: ConsoleFile, cacheControl: string) => {
  const common = { ...pageHeaders, etag: file.etag, "cache-control": cacheControl, vary: "accept-encoding" }
  if (headers["if-none-match"] === file.etag)
    return HttpServerResponse.empty({ status: 304, headers: common })
  const isGzip = acceptsGzip(headers["accept-encoding"])
  return HttpServerResponse.uint8Array(isGzip ? file.gzip : file.bytes, {
    contentType: file.contentType,
    headers: { ...common, ...(isGzip ? { "content-encoding": "gzip" } : {}) }
  })
}

const notBuilt = refusal("NOT_FOUND", "This hub has no console. Build it: npm run build:all")

const page = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
  const file = consoleFiles().get("index.html")
  return file === undefined ? notBuilt : send(request, file, "no-cache")
})

const named = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const { file: name = "" } = yield* HttpRouter.params
  const file = consoleFiles().get(name)
  return file === undefined || name === "index.html"
    ? refusal("NOT_FOUND", "The console has no such file; reload the page")
    : // The name has a hash of the content.
      send(request, file, "private, max-age=31536000, immutable")
})

export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.addAll([
  ...pagePaths.map((path) => HttpRouter.route("GET", path, page)),
  HttpRouter.route("GET", filePath, named)
])
