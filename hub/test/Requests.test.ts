/** What requests may consist of, who may send them, and how a log survives those that fail. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { SqlClient } from "effect/sql"
import { commandsOf } from "./cli.ts"
import { raw } from "./rawHttp.ts"
import { type Answer, makeTopic, startHub, type TestHub } from "./testHub.ts"

const json = { "content-type": "application/json" }

/** A POST byte by byte as given. */
const send = (hub: TestHub, path: string, body: string | Buffer, headers: Record<string, string> = json) =>
  raw(hub, [
    [
      `POST ${path} HTTP/1.1`,
      "Host: localhost",
      `Authorization: Bearer ${hub.token}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      `Content-Length: ${Buffer.byteLength(body)}`,
      "",
      ""
    ].join("\r\n"),
    body
  ])

const isRefused = ({ status, body }: Pick<Answer, "status" | "body">, expected: number, pattern: RegExp) => {
  assert.strictEqual(status, expected, JSON.stringify(body))
  assert.strictEqual(typeof body.code, "string")
  assert.match(body.error, pattern)
}

describe("a body", () => {
  it.live("has well-formed Unicode in every text, whatever carries it", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const message = { topic_id: topic, sender: "ada", content_raw: "x" }
      const { body } = yield* hub.post("/api/v1/messages", message)
      const path = `/api/v1/topics/${topic}/attachments`
      for (const [bad, reason] of [
        ["\ud800", /surrogate/],
        ["x\udc00", /surrogate/],
        ["a\u0000b", /U\+0000/]
      ] as const) {
        const attachment = { kind: "k", value_json: { deep: [{ text: bad }] } }
        // The same once more: what was kept of the first was not what is compared.
        for (let count = 0; count < 2; count++) {
          const refused = yield* hub.post(path, attachment)
          isRefused(refused, 400, reason)
          assert.match(refused.body.error, /^value_json\.deep\.0\.text: /)
          assert.strictEqual(refused.body.code, "INVALID_INPUT")
        }
        const others = [
          hub.post("/api/v1/messages", { ...message, content_raw: bad }),
          hub.post("/api/v1/messages", { ...message, sender: bad }),
          hub.post("/api/v1/channels", { name: bad }),
          hub.post("/api/v1/channels", { name: "ok", description: bad }),
          hub.patch(`/api/v1/topics/${topic}`, { title: bad }),
          hub.patch(`/api/v1/messages/${body.message.id}`, { op: "edit", content_raw: bad }),
          hub.patch(`/api/v1/messages/${body.message.id}`, { op: "delete", actor: bad }),
          hub.post(path, { kind: bad, value_json: {} }),
          hub.post(path, { kind: "k", key: bad, value_json: {} }),
          hub.post(path, { kind: "k", dedupe_key: bad, value_json: {} }),
          hub.post(path, { kind: "k", value_json: { [bad]: 1 } })
        ]
        for (const other of others) isRefused(yield* other, 400, reason)
      }
      // Pairs, escaped or not, and a backslash before a u are texts.
      for (const content_raw of ["😀", "\\u0000 \\ud800", "\ufffd", "\u{10ffff}"]) {
        const posted = yield* hub.post("/api/v1/messages", { ...message, content_raw })
        assert.strictEqual(posted.body.message.content_raw, content_raw)
      }
      const escaped = yield* send(
        hub,
        "/api/v1/messages",
        `{"topic_id":"${topic}","sender":"a","content_raw":"\\ud83d\\ude00"}`
      )
      assert.strictEqual(escaped.body.message.content_raw, "😀")
      assert.strictEqual((yield* hub.rows("SELECT id FROM attachments")).length, 0)
    })
  )

  it.live("is UTF-8, and says that it is JSON", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const body = '{"name":"general"}'
      const path = "/api/v1/channels"
      const broken = Buffer.concat([
        Buffer.from('{"name":"'),
        Buffer.from([0xc3, 0x28, 0xff]),
        Buffer.from('"}')
      ])
      isRefused(yield* send(hub, path, broken), 400, /not valid UTF-8/)
      isRefused(
        yield* send(hub, path, Buffer.from(body, "utf16le"), {
          "content-type": "application/json; charset=utf-16"
        }),
        400,
        /charset must be utf-8/
      )
      isRefused(
        yield* send(hub, path, body, { "content-type": "application/json;charset=latin1" }),
        400,
        /charset must be utf-8/
      )
      isRefused(yield* send(hub, path, body, {}), 400, /Content-Type: must be application\/json/)
      assert.strictEqual(
        (yield* send(hub, path, body, { "content-type": 'application/json; charset="UTF-8"' })).status,
        201
      )
      // What needs no body needs no type.
      const { status } = yield* send(hub, "/api/v1/plugins/nobody/trip", "", {})
      assert.strictEqual(status, 404)
    })
  )
})

describe("a request", () => {
  it.live("has one Host", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const two = (one: string, other: string) =>
        raw(hub, [`GET /health HTTP/1.1\r\nHost: ${one}\r\nHost: ${other}\r\n\r\n`])
      isRefused(yield* two("localhost", "evil.example"), 400, /one Host/)
      isRefused(yield* two("localhost", "localhost"), 400, /one Host/)
    })
  )

  it.live("that the hub does not understand is refused in the protocol's shape", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      isRefused(
        yield* raw(hub, ["CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n"]),
        405,
        /CONNECT/
      )
      isRefused(
        yield* raw(hub, ["GET /health HTTP/1.1\r\nHost: localhost\r\nExpect: the-unexpected\r\n\r\n"]),
        417,
        /Expect/
      )
    })
  )

  it.live("has one idempotency key for all spellings of its path", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const message = { topic_id: topic, sender: "ada", content_raw: "once" }
      const headers = { "idempotency-key": "k-1" }
      const first = yield* hub.post("/api/v1/messages", message, { headers })
      assert.strictEqual(first.status, 201)
      for (const path of [
        "/api/v1/messages/",
        "/api/v1/%6dessages",
        "/api/v1/%6Dessages/",
        "/api//v1/messages",
        "/API/v1/messages"
      ]) {
        const again = yield* hub.post(path, message, { headers })
        if (again.status !== 404) assert.deepStrictEqual(again.body, first.body, path)
      }
      assert.strictEqual((yield* hub.rows("SELECT id FROM messages")).length, 1)
    })
  )

  it.live("of a page of another site is refused, with an Origin or without", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      for (const path of ["/api/v1/channels", "/health", "/metrics", "/api/v1/events/stream"]) {
        for (const site of ["cross-site", "same-site", "anything"]) {
          const { status, body } = yield* hub.request("GET", path, undefined, {
            headers: { "sec-fetch-site": site }
          })
          isRefused({ status, body }, 403, /other sites/)
        }
      }
      for (const site of ["same-origin", "none"]) {
        const { status } = yield* hub.request("GET", "/api/v1/channels", undefined, {
          headers: { "sec-fetch-site": site }
        })
        assert.strictEqual(status, 200)
      }
    })
  )
})

describe("a hub whose reads need the token", () => {
  const reads = [
    "/api/v1/channels",
    "/api/v1/events",
    "/api/v1/plugins",
    "/api/v1/jobs",
    "/metrics",
    "/openapi.json",
    "/nothing",
    "/api/v1/events/stream",
    "/api/v1/events/stream?after=0",
    "/ws"
  ]

  it.live("refuses every read without it, but /health", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ readAuth: true })
      for (const path of reads) {
        isRefused(yield* hub.get(path), 401, /token/)
        isRefused(yield* hub.request("GET", path, undefined, { token: "wrong" }), 401, /token/)
        const sep = path.includes("?") ? "&" : "?"
        isRefused(yield* hub.get(`${path}${sep}token=wrong`), 401, /token/)
      }
      // A token in a URL ends up in histories and logs: only live events take it.
      isRefused(yield* hub.get(`/api/v1/channels?token=${hub.token}`), 401, /token/)
      for (const path of ["/healthy", "/health/x", "/%68ealth/../api/v1/channels"])
        isRefused(yield* hub.get(path), 401, /token/)
      const health = yield* hub.get("/health")
      assert.strictEqual(health.status, 200)
      assert.isTrue(health.body.read_auth)
      assert.strictEqual((yield* hub.request("GET", "/api/v1/channels")).status, 200)
      const live = yield* Effect.promise(() => fetch(`${hub.url}/api/v1/events/stream?token=${hub.token}`))
      assert.strictEqual(live.status, 200)
      yield* Effect.promise(async () => live.body?.cancel())
    })
  )

  it.live("serves the command line, which says so", () =>
    Effect.gen(function* () {
      const closed = yield* startHub({ readAuth: true })
      yield* makeTopic(closed)
      const run = commandsOf(closed.workspace)
      assert.include((yield* run("channel", "list")).out, "general")
      assert.include((yield* run("status")).out, "Reads need the token")
      const open = yield* startHub()
      assert.include((yield* commandsOf(open.workspace)("status")).out, "Reads are open to every local user")
    })
  )
})

describe("writes that fail", () => {
  it.live("are logged once in a while, not each", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      yield* Effect.gen(function* () {
        const hub = yield* startHub()
        yield* Effect.provideContext(
          SqlClient.SqlClient.use((sql) => sql`ALTER TABLE channels RENAME TO lost`),
          hub.services
        ).pipe(Effect.orDie)
        for (let count = 0; count < 50; count++) {
          const { status, body } = yield* hub.post("/api/v1/channels", { name: `c${count}` })
          assert.strictEqual(status, 500)
          assert.strictEqual(body.code, "INTERNAL_ERROR")
        }
        const failed = lines.filter((line) => line.includes("request failed"))
        assert.isAtLeast(failed.length, 1)
        assert.isAtMost(failed.length, 10)
      }).pipe(Effect.provide(Logger.layer([logger])))
    })
  )
})
