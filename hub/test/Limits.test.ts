import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { securityHeaders } from "../src/http/Guard.ts"
import { raw, type RawAnswer } from "./rawHttp.ts"
import { makeTopic, startHub, type TestHub } from "./testHub.ts"

/** In the protocol's shape, with the headers of every answer. */
const refused = ({ status, headers, body }: RawAnswer, expected: number, code: string): void => {
  assert.strictEqual(status, expected, JSON.stringify(body))
  assert.strictEqual(body.code, code)
  assert.isAbove(body.error.length, 0)
  assert.match(String(headers.get("content-type")), /^application\/json/)
  secured(headers)
}

const secured = (headers: Headers): void => {
  for (const [name, value] of Object.entries(securityHeaders)) assert.strictEqual(headers.get(name), value)
}

const hostOf = (hub: TestHub): string => new URL(hub.url).host

const get = (hub: TestHub, target: string, lines: ReadonlyArray<string> = [`Host: ${hostOf(hub)}`]) =>
  raw(hub, [[`GET ${target} HTTP/1.1`, ...lines, "", ""].join("\r\n")])

describe("what is no request of the protocol's", () => {
  it.live("is refused in its shape: bodies, methods, paths", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const post = (body: string, type: string) =>
        hub.post("/api/v1/channels", undefined, { raw: body, headers: { "content-type": type } })
      refused(yield* post('{"name":', "application/json"), 400, "INVALID_INPUT")
      refused(yield* post("\u0000", "application/json"), 400, "INVALID_INPUT")
      refused(yield* post('{"name":"x"}', "text/plain"), 400, "INVALID_INPUT")
      refused(yield* post("name=x", "application/x-www-form-urlencoded"), 400, "INVALID_INPUT")
      for (const target of [
        "/console",
        "/api",
        "/api/v1/nothing",
        "/api/v1/channels/x/nothing",
        "//x",
        "/../etc"
      ]) {
        refused(yield* get(hub, target), 404, "NOT_FOUND")
      }
      for (const target of [
        "/%",
        "/api/v1/plugins/%zz",
        "/api/v1/plugins/%C3%28",
        "/api/v1/plugins/%C0%AF"
      ]) {
        refused(yield* get(hub, target), 400, "INVALID_INPUT")
      }
      // A % in a query is the business of whoever reads the query.
      assert.strictEqual((yield* get(hub, "/health?%")).status, 200)
    })
  )

  it.live("has a method that the path has not: 405, and those that it has", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      for (const [method, target, allow] of [
        ["PUT", "/api/v1/channels", "GET, HEAD, POST"],
        ["DELETE", "/api/v1/messages/1", "GET, HEAD, PATCH"],
        ["GET", "/api/v1/topics", "POST"],
        ["GET", "/api/v1/topics/1", "PATCH"],
        ["OPTIONS", "/api/v1/events", "GET, HEAD"],
        ["POST", "/health", "GET, HEAD"],
        ["POST", "/metrics", "GET, HEAD"],
        ["PATCH", "/openapi.json", "GET, HEAD"]
      ] as const) {
        const answer = yield* hub.request(method, target)
        refused(answer, 405, "METHOD_NOT_ALLOWED")
        assert.strictEqual(answer.headers.get("allow"), allow, target)
      }
    })
  )

  it.live("is no HTTP at all", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      refused(yield* raw(hub, ["HELLO\r\n\r\n"]), 400, "INVALID_INPUT")
      refused(yield* raw(hub, ["GET /health HTTP/1.1\r\nno colon\r\n\r\n"]), 400, "INVALID_INPUT")
      const long = `X: ${"x".repeat(20_000)}`
      refused(yield* get(hub, "/health", [`Host: ${hostOf(hub)}`, long]), 431, "INVALID_INPUT")
      assert.strictEqual((yield* hub.get("/health")).status, 200)
    })
  )

  it.live("has a body without end: refused at 1 MiB, while it is sent", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const chunk = Buffer.alloc(64 * 1024, "x")
      let sent = 0
      const endless = function* () {
        yield [
          "POST /api/v1/channels HTTP/1.1",
          `Host: ${hostOf(hub)}`,
          `Authorization: Bearer ${hub.token}`,
          "Content-Type: application/json",
          "Transfer-Encoding: chunked",
          "",
          ""
        ].join("\r\n")
        // So much that it could not be meant to be kept; an answer ends it much earlier.
        while (sent < 2 ** 30) {
          sent += chunk.length
          yield Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n")])
        }
      }
      refused(yield* raw(hub, endless()), 400, "PAYLOAD_TOO_LARGE")
      assert.isAtLeast(sent, 2 ** 20)
      assert.isBelow(sent, 2 ** 28)
      assert.strictEqual((yield* hub.get("/health")).status, 200)
    })
  )
})

describe("whoever asks", () => {
  it.live("is told by every answer what a browser may do with it: nothing", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      secured((yield* hub.get("/health")).headers)
      secured((yield* hub.get("/openapi.json")).headers)
      secured((yield* hub.get("/api/v1/events")).headers)
      const content = { topic_id: topic, sender: "a", content_raw: "x" }
      const answer = yield* hub.post("/api/v1/messages", content)
      assert.strictEqual(answer.status, 201)
      secured(answer.headers)
      refused(yield* hub.post("/api/v1/messages", content, { token: null }), 401, "MISSING_AUTH")
    })
  )

  it.live("must call the hub by a name of this machine", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      for (const host of ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:8080", hostOf(hub)]) {
        assert.strictEqual((yield* get(hub, "/health", [`Host: ${host}`])).status, 200, host)
      }
      for (const host of [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@x",
        "x:80",
        ""
      ]) {
        refused(yield* get(hub, "/health", [`Host: ${host}`]), 403, "FORBIDDEN")
      }
      refused(yield* get(hub, "/health", []), 403, "FORBIDDEN")
    })
  )

  it.live("must not be a page of another origin", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const from = (origin: string) => get(hub, "/health", [`Host: ${hostOf(hub)}`, `Origin: ${origin}`])
      assert.strictEqual((yield* from(hub.url)).status, 200)
      for (const origin of [
        "null",
        "https://evil.example",
        "http://localhost:1",
        hub.url.replace("http", "https"),
        ""
      ]) {
        refused(yield* from(origin), 403, "FORBIDDEN")
      }
      const posted = yield* hub.post(
        "/api/v1/channels",
        { name: "x" },
        { headers: { origin: "http://evil.example" } }
      )
      refused(posted, 403, "FORBIDDEN")
      assert.deepStrictEqual((yield* hub.get("/api/v1/channels")).body.channels, [])
    })
  )
})
