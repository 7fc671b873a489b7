import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { EventEmitter } from "node:events"
import { WebSocket } from "ws"
import * as Hub from "../src/Hub.ts"
import { layerFakePlugins } from "@agentlip/plugin-runtime/testing"
import { raw } from "./rawHttp.ts"
import { startHub, tempWorkspace, type TestHub } from "./testHub.ts"

const page = "http://localhost:5173"
const hostOf = (hub: TestHub): string => new URL(hub.url).host

/** Origins that are not `page`, however much they look like it. */
const others = [
  "null",
  "*",
  "",
  "http://localhost",
  "http://localhost:51730",
  "https://localhost:5173",
  "http://localhost:5173/",
  "http://localhost:5173.evil.example",
  "http://evil.example",
  "http://evil.example/http://localhost:5173",
  "http://localhost:5173, http://evil.example",
  "HTTP://LOCALHOST:5173"
]

/** A request as a browser sends it for a page of another origin. */
const ask = (
  hub: TestHub,
  origin: string,
  {
    method = "GET",
    target = "/health",
    headers = [] as ReadonlyArray<string>,
    host = hostOf(hub),
    body = ""
  } = {}
) =>
  raw(hub, [
    [
      `${method} ${target} HTTP/1.1`,
      `Host: ${host}`,
      `Origin: ${origin}`,
      "Sec-Fetch-Site: cross-site",
      `Content-Length: ${body.length}`,
      ...headers,
      "",
      body
    ].join("\r\n")
  ])

/** How a WebSocket ends that a page of the origin opens: `open`, or the status of the refusal. */
const open = (hub: TestHub, origin: string) =>
  Effect.promise(async () => {
    const socket = new WebSocket(`${hub.url.replace("http", "ws")}/ws?token=${hub.token}`, { origin })
    const ended = new EventEmitter()
    socket.on("open", () => ended.emit("end", "open"))
    socket.on("unexpected-response", (_, { statusCode }) => ended.emit("end", statusCode))
    socket.on("error", () => {})
    const [outcome] = await EventEmitter.once(ended, "end")
    socket.terminate()
    return outcome
  })

const cors = (headers: Headers): ReadonlyArray<string> =>
  [...headers.keys()].filter((name) => name.startsWith("access-control-"))

describe("--allow-origin", () => {
  it.live("lets pages of that origin read, write and follow live events, with the token only", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ allowOrigins: [page], readAuth: true })
      const asks = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization"]
      const preflight = yield* ask(hub, page, {
        method: "OPTIONS",
        target: "/api/v1/channels",
        headers: asks
      })
      assert.strictEqual(preflight.status, 204)
      assert.strictEqual(preflight.headers.get("access-control-allow-origin"), page)
      assert.include(preflight.headers.get("access-control-allow-methods"), "POST")
      assert.include(preflight.headers.get("access-control-allow-headers"), "authorization")
      assert.isFalse(preflight.headers.has("access-control-allow-credentials"))

      const body = '{"name":"general"}'
      const headers = ["Content-Type: application/json", `Authorization: Bearer ${hub.token}`]
      const write = { method: "POST", target: "/api/v1/channels", body }
      assert.strictEqual((yield* ask(hub, page, { ...write, headers })).status, 201)
      const unsigned = yield* ask(hub, page, { ...write, headers: headers.slice(0, 1) })
      assert.strictEqual(unsigned.status, 401)
      // The page may read why.
      assert.strictEqual(unsigned.headers.get("access-control-allow-origin"), page)
      assert.strictEqual(unsigned.headers.get("vary"), "origin")
      assert.strictEqual((yield* ask(hub, page, { target: "/api/v1/channels" })).status, 401)
      assert.strictEqual(yield* open(hub, page), "open")
    })
  )

  for (const origin of others) {
    it.live(`refuses ${JSON.stringify(origin)}, and lets it read nothing`, () =>
      Effect.gen(function* () {
        const hub = yield* startHub({ allowOrigins: [page] })
        const asks = ["Access-Control-Request-Method: GET"]
        for (const answer of [
          yield* ask(hub, origin),
          yield* ask(hub, origin, { method: "OPTIONS", headers: asks })
        ]) {
          assert.strictEqual(answer.status, 403)
          assert.deepStrictEqual(cors(answer.headers), [])
          assert.strictEqual(answer.headers.get("vary"), "origin")
        }
        assert.strictEqual(yield* open(hub, origin), origin === "" ? "open" : 403)
      })
    )
  }

  it.live("does not let the page in by another name of the hub", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ allowOrigins: [page] })
      const asks = ["Access-Control-Request-Method: GET"]
      const host = "evil.example"
      assert.strictEqual((yield* ask(hub, page, { host })).status, 403)
      assert.strictEqual((yield* ask(hub, page, { host, method: "OPTIONS", headers: asks })).status, 403)
    })
  )

  it.live("is off by default: no page is told anything", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const answer = yield* ask(hub, page)
      assert.strictEqual(answer.status, 403)
      assert.deepStrictEqual(cors(answer.headers), [])
    })
  )

  for (const wrong of [
    "*",
    "null",
    "localhost:5173",
    "http://localhost:5173/",
    "http://*.example",
    "file:///x"
  ]) {
    it.live(`takes no ${wrong}`, () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const hub = Hub.layer({ workspace, allowOrigins: [wrong] }).pipe(Layer.provide(layerFakePlugins({})))
        const error = yield* Effect.flip(Effect.scoped(Layer.build(hub)))
        assert.strictEqual(error._tag, "OriginRefused")
        assert.include(error.message, "such as http://localhost:5173")
      })
    )
  }
})
