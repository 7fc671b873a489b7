/** `GET /docs`: a page about the HTTP interface, made by Scalar. It needs nothing from other servers. */
import { Api } from "@agentlip/protocol"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiScalar } from "effect/http-api"
import { createHash } from "node:crypto"
import { bodyText } from "./Failures.ts"

export const docsPath = "/docs"

const sourceOf = (script: string): string =>
  `'sha256-${createHash("sha256").update(script).digest("base64")}'`

/** The scripts in a page, each by its digest. Nothing else runs. Scalar adds styles while it runs. */
const policyOf = (page: string): string => {
  const scripts = [...page.matchAll(/<script>([^]*?)<\/script>/g)].map(([, script = ""]) => sourceOf(script))
  return [
    "default-src 'none'",
    `script-src ${scripts.join(" ")}`,
    "style-src 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join("; ")
}

/** Without what needs Scalar's own servers. The type of Effect's options lacks some of these names. */
const settings = {
  withDefaultFonts: false,
  hideClientButton: true,
  showDeveloperTools: "never",
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  authentication: { preferredSecurityScheme: "bearer" }
}

/** The page weighs 3 MB, so it is loaded on the first request for it. */
const page = Effect.gen(function* () {
  const router = yield* HttpRouter.make
  const scalar = HttpApiScalar.layer(Api, {
    path: docsPath,
    scalar: settings
  })
  yield* Layer.build(scalar).pipe(Effect.provideService(HttpRouter.HttpRouter, router))
  const response = yield* Effect.orDie(router.asHttpEffect())
  return HttpServerResponse.setHeader(response, "content-security-policy", policyOf(bodyText(response) ?? ""))
})

/** The page holds no data of the hub, so it needs no token, even with `readAuth`. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    yield* router.add("GET", docsPath, yield* Effect.cached(Effect.uninterruptible(Effect.scoped(page))))
  })
)
