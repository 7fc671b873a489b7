/** Requests between the moment when the hub's server listens and the one when its routes are there. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { AddressInfo } from "node:net"
import { createHubServer } from "../src/http/BrokenRequests.ts"

describe("a request to a hub that is starting", () => {
  it.live("is refused at once; later ones are served", () =>
    Effect.gen(function* () {
      const server = createHubServer({})
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
        () => Effect.sync(() => server.close().closeAllConnections())
      )
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server on a port has this address
      const { port } = server.address() as AddressInfo
      const ask = (headers: Record<string, string> = {}) =>
        Effect.promise(() => fetch(`http://127.0.0.1:${port}/health`, { headers }))
      const early = yield* ask()
      assert.strictEqual(early.status, 503)
      assert.strictEqual(early.headers.get("retry-after"), "1")
      assert.deepInclude(yield* Effect.promise(() => early.json()), { code: "SERVICE_UNAVAILABLE" })

      server.on("request", (_, response) => response.end("served"))
      const later = yield* ask()
      assert.strictEqual(later.status, 200)
      assert.strictEqual(yield* Effect.promise(() => later.text()), "served")
    })
  )
})
