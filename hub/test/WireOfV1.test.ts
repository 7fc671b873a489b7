/** What clients of Agentlip v1 rely on: orders, times, leniency, headers. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { makeOldDatabase, someRows } from "./oldDatabase.ts"
import { connect, hello } from "./socketClient.ts"
import { eventually, type Json, makeTopic, startHub, tempWorkspace, type TestHub } from "./testHub.ts"

const titles = (hub: TestHub, channel: string, query = "") =>
  Effect.map(hub.get(`/api/v1/channels/${channel}/topics${query}`), ({ body }) =>
    body.topics.map(({ title }: Json) => title)
  )

const say = (hub: TestHub, topic_id: string, content_raw = "hello") =>
  Effect.map(hub.post("/api/v1/messages", { topic_id, sender: "ada", content_raw }), ({ body }) =>
    String(body.message.id)
  )

describe("topics", () => {
  it.effect("have the latest activity first: a post, an edit, a move, a rename", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { channel, topic: first } = yield* makeTopic(hub)
      const add = (title: string) =>
        Effect.map(hub.post("/api/v1/topics", { channel_id: channel, title }), ({ body }) =>
          String(body.topic.id)
        )
      const later = TestClock.adjust("1 second")
      yield* later
      const second = yield* add("second")
      yield* later
      const third = yield* add("third")
      assert.deepStrictEqual(yield* titles(hub, channel), ["third", "second", "first"])
      yield* later
      const message = yield* say(hub, first)
      assert.deepStrictEqual(yield* titles(hub, channel), ["first", "third", "second"])
      yield* later
      yield* say(hub, second)
      yield* later
      yield* hub.patch(`/api/v1/messages/${message}`, { op: "edit", content_raw: "new" })
      assert.deepStrictEqual(yield* titles(hub, channel), ["first", "second", "third"])
      yield* later
      const move = { op: "move_topic", to_topic_id: third, mode: "one" }
      yield* hub.patch(`/api/v1/messages/${message}`, move)
      // Both topics have changed.
      assert.deepStrictEqual(yield* titles(hub, channel), ["third", "first", "second"])
      yield* later
      yield* hub.patch(`/api/v1/topics/${second}`, { title: "renamed" })
      assert.deepStrictEqual(yield* titles(hub, channel, "?limit=2"), ["renamed", "third"])
      assert.deepStrictEqual(yield* titles(hub, channel, "?limit=2&offset=2"), ["first"])
      const { body } = yield* hub.get(`/api/v1/channels/${channel}/topics`)
      const times = body.topics.map(({ updated_at }: Json) => updated_at)
      assert.deepStrictEqual(times, [
        "1970-01-01T00:00:07.000Z",
        ...Array(2).fill("1970-01-01T00:00:06.000Z")
      ])
      // What fails leaves no trace.
      yield* later
      yield* hub.post("/api/v1/messages", { topic_id: first, sender: "ada", content_raw: "x".repeat(70_000) })
      assert.deepStrictEqual(yield* titles(hub, channel), ["renamed", "third", "first"])
    })
  )
})

describe("a hub like v1's", () => {
  it.live("lists channels by name, and attachments newest first", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub, "middle")
      for (const name of ["zulu", "Alpha", "alpha"]) yield* hub.post("/api/v1/channels", { name })
      const channels = yield* hub.get("/api/v1/channels")
      const names = channels.body.channels.map(({ name }: Json) => name)
      assert.deepStrictEqual(names, ["Alpha", "alpha", "middle", "zulu"])
      const second = channels.body.channels[1].id
      const rest = yield* hub.get(`/api/v1/channels?after_id=${second}&limit=1`)
      assert.deepStrictEqual([rest.body.channels[0].name, rest.body.has_more], ["middle", true])
      assert.strictEqual((yield* hub.get("/api/v1/channels?after_id=none")).status, 400)

      for (const at of [1, 2, 3]) {
        yield* hub.post(`/api/v1/topics/${topic}/attachments`, { kind: "note", value_json: { at } })
      }
      const page = (query: string) =>
        Effect.map(hub.get(`/api/v1/topics/${topic}/attachments?${query}`), ({ body }) => body.attachments)
      const all = yield* page("")
      assert.deepStrictEqual(
        all.map(({ value_json }: Json) => value_json.at),
        [3, 2, 1]
      )
      assert.deepStrictEqual(yield* page(`after_id=${all[0].id}`), all.slice(1))
    })
  )

  it.live("pages forward with after_id: the messages that follow, newest first", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const post = (content_raw: string) =>
        hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw })
      for (const text of ["a", "b", "c", "d", "e"]) yield* post(text)
      const page = (query: string) =>
        Effect.map(hub.get(`/api/v1/messages?topic_id=${topic}&${query}`), ({ body }) => body)
      const textsOf = ({ messages }: Json) => messages.map(({ content_raw }: Json) => content_raw).join("")
      // As a program of v1 reads on: after the newest message that it has seen.
      const all = (yield* page("")).messages
      const pages: Array<string> = []
      let after = all.at(-1).id
      for (let has_more = true; has_more; ) {
        const next = yield* page(`limit=2&after_id=${after}`)
        pages.push(textsOf(next))
        has_more = next.has_more
        after = next.messages[0].id
      }
      assert.deepStrictEqual(pages, ["cb", "ed"])
      const between = yield* page(`limit=2&after_id=${all[4].id}&before_id=${all[0].id}`)
      assert.deepStrictEqual([textsOf(between), between.has_more], ["dc", true])
    })
  )

  it.live("counts a limit or tail over the maximum as the maximum, and refuses tail with after", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { channel, topic } = yield* makeTopic(hub)
      for (const path of [
        "/api/v1/events?tail=5000",
        "/api/v1/events?limit=5000&after=0",
        `/api/v1/messages?topic_id=${topic}&limit=1001`,
        `/api/v1/channels/${channel}/topics?limit=99999`,
        "/api/v1/jobs?limit=1001"
      ]) {
        assert.strictEqual((yield* hub.get(path)).status, 200, path)
      }
      const both = yield* hub.get("/api/v1/events?tail=1&after=0")
      assert.strictEqual(both.status, 400)
      assert.deepInclude(both.body, {
        code: "INVALID_INPUT",
        error: "tail: cannot be used together with after"
      })
      assert.strictEqual((yield* hub.get("/api/v1/events?limit=0")).status, 400)
    })
  )

  it.live("refuses what is no web address in an attachment of kind url", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const attach = (value_json: Json, kind = "url") =>
        hub.post(`/api/v1/topics/${topic}/attachments`, { kind, value_json })
      const longest = `https://example.com/${"x".repeat(2_048 - 20)}`
      for (const value of [
        { url: "https://example.com" },
        { url: "HTTP://example.com:8080/a?b=c#d", title: "An example" },
        { url: longest, title: "t".repeat(500) },
        { url: "https://example.com/ü", title: null }
      ]) {
        assert.strictEqual((yield* attach(value)).status, 201, value.url)
      }
      for (const value of [
        {},
        { url: 1 },
        { url: "" },
        { url: "example.com" },
        { url: "javascript:alert(1)" },
        { url: "JavaScript://example.com/%0aalert(1)" },
        { url: "java\tscript:alert(1)" },
        { url: " https://example.com" },
        { url: "data:text/html,x" },
        { url: "file:///etc/passwd" },
        { url: "https://" },
        { url: "https://example.com/<script>" },
        { url: 'https://example.com/"onclick="x' },
        { url: `${longest}x` },
        { url: "https://example.com/1", title: "t".repeat(501) },
        { url: "https://example.com/2", title: 1 }
      ]) {
        const { status, body } = yield* attach(value)
        assert.deepInclude(
          { status, code: body.code },
          { status: 400, code: "INVALID_INPUT" },
          String(value.url)
        )
        assert.match(body.error, /^value_json\.(url|title): /)
      }
      assert.strictEqual((yield* attach({ url: "javascript:x" }, "note")).status, 201)
    })
  )

  it.live("takes no key for the empty key, and says that an attachment was there already", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const attach = (key: Json) =>
        hub.post(`/api/v1/topics/${topic}/attachments`, { kind: "k", value_json: { a: 1 }, ...key })
      const added = yield* attach({})
      assert.notProperty(added.body, "deduplicated")
      const again = yield* attach({ key: "" })
      assert.deepStrictEqual(
        { status: again.status, ...again.body },
        { status: 200, attachment: added.body.attachment, event_id: null, deduplicated: true }
      )
      assert.strictEqual((yield* attach({ key: "k" })).status, 201)
    })
  )

  it.live("merges attachments of older hubs that differ in no key and the empty key only", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      // Found by a plugin without a key, and posted by a client with the empty one.
      const rows = [
        ["1", "a", "k", "NULL", 0],
        ["2", "a", "k", "''", 1],
        ["3", "a", "k", "'x'", 0],
        ["4", "a", "l", "''", 0],
        ["5", "b", "k", "NULL", 0]
      ].flatMap(([id, of, kind, key, posted]) => [
        `INSERT INTO attachments
          (id, topic_id, kind, key, value_json, dedupe_key, source_message_id, posted, created_at)
          VALUES ('${id}', '${of}', '${kind}', ${key}, '{"a":1}', 'd', NULL, ${posted}, '')`,
        `INSERT INTO attachment_sources (attachment_id, message_id, plugin_name) VALUES ('${id}', 'e', 'p${id}')`
      ])
      yield* makeOldDatabase(workspace, 12, [...someRows("hello"), ...rows])
      const hub = yield* startHub({ workspace })
      assert.deepStrictEqual(
        (yield* hub.rows("SELECT id, topic_id, posted FROM attachments ORDER BY id")).map((row) => ({
          ...row
        })),
        [
          { id: "1", topic_id: "a", posted: 1 },
          { id: "3", topic_id: "a", posted: 0 },
          { id: "4", topic_id: "a", posted: 0 },
          { id: "5", topic_id: "b", posted: 0 }
        ]
      )
      const sources = yield* hub.rows(
        "SELECT plugin_name FROM attachment_sources WHERE attachment_id = '1' ORDER BY plugin_name"
      )
      assert.deepStrictEqual(
        sources.map(({ plugin_name }) => plugin_name),
        ["p1", "p2"]
      )
      const body = { kind: "l", value_json: { b: 1 }, dedupe_key: "d" }
      assert.strictEqual((yield* hub.post("/api/v1/topics/a/attachments", body)).body.attachment.id, "4")
    })
  )

  it.live("refuses an empty text, and a deletion sets edited_at", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const id = yield* say(hub, topic)
      for (const answer of [
        yield* hub.patch(`/api/v1/messages/${id}`, { op: "edit", content_raw: "" }),
        yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw: "" })
      ]) {
        assert.deepInclude({ ...answer.body, status: answer.status }, { status: 400, code: "INVALID_INPUT" })
        assert.match(answer.body.error, /^content_raw: /)
      }
      const deleted = yield* hub.patch(`/api/v1/messages/${id}`, { op: "delete", actor: "ada" })
      const { message } = deleted.body
      assert.strictEqual(message.edited_at, message.deleted_at)
      const listed = yield* hub.get(`/api/v1/messages/${id}`)
      assert.deepStrictEqual(listed.body.message, message)
    })
  )

  it.live("measures a message in bytes of UTF-8", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const post = (content_raw: string) =>
        hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw })
      for (const character of ["x", "ü", "😀"]) {
        const most = character.repeat(65_536 / Buffer.byteLength(character))
        assert.strictEqual((yield* post(most)).status, 201, character)
        const more = yield* post(`${most}x`)
        assert.deepInclude({ ...more.body, status: more.status }, { status: 400, code: "PAYLOAD_TOO_LARGE" })
      }
    })
  )

  it.live("takes a hello in binary, and null for no subscriptions", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { channel, topic } = yield* makeTopic(hub)
      const frames = (count: number, given: string | Buffer) =>
        Effect.gen(function* () {
          const client = yield* connect(hub)
          client.ws.send(given)
          yield* eventually(
            Effect.sync(() => client.frames.length),
            (found) => found >= count
          )
          return client.frames
        })
      const text = JSON.stringify(hello(0))
      assert.strictEqual((yield* frames(3, Buffer.from(text))).length, 3)
      const some = { type: "hello", after_event_id: 0, subscriptions: { channels: null, topics: [topic] } }
      const [ok, event] = yield* frames(2, JSON.stringify(some))
      assert.deepInclude(ok, { type: "hello_ok", replay_until: 2 })
      assert.deepInclude(event, { name: "topic.created" })
      // In v1, null is something else than nothing at all: an empty list.
      const none = yield* connect(hub)
      none.ws.send(JSON.stringify({ type: "hello", after_event_id: 0, subscriptions: null }))
      const all = yield* connect(hub, hello(0, { channels: [channel] }))
      yield* say(hub, topic)
      yield* eventually(
        Effect.sync(() => all.frames.length),
        (found) => found === 4
      )
      assert.deepStrictEqual(
        none.frames.map(({ type }: Json) => type),
        ["hello_ok"]
      )
    })
  )
})

describe("the token", () => {
  const tokenOf = (workspace: string) =>
    Effect.scoped(Effect.map(startHub({ workspace }), ({ token }) => token))

  it.live("is another after a clean stop, and the same after a crash", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const file = path.join(workspace, ".agentlip", "server.json")
      const left = yield* Effect.scoped(
        Effect.map(startHub({ workspace }), () => JSON.parse(fs.readFileSync(file, "utf8")))
      )
      const next = yield* tokenOf(workspace)
      assert.notStrictEqual(next, left.auth_token)
      // A hub that is killed cannot remove its file.
      const afterCrash = (given: object, mode = 0o600) =>
        Effect.suspend(() => {
          fs.writeFileSync(file, JSON.stringify({ ...left, ...given }), { mode })
          fs.chmodSync(file, mode)
          return tokenOf(workspace)
        })
      assert.strictEqual(yield* afterCrash({}), left.auth_token)
      const { database: _, ...ofV1 } = left
      fs.writeFileSync(file, JSON.stringify(ofV1), { mode: 0o600 })
      assert.strictEqual(yield* tokenOf(workspace), left.auth_token)
      for (const [given, mode] of [
        [{}, 0o644],
        [{}, 0o620],
        [{ db_id: "another" }, 0o600],
        [{ auth_token: "abc" }, 0o600],
        [{ auth_token: "not hex".repeat(10) }, 0o600],
        [{ host: "192.0.2.1" }, 0o600]
      ] as const) {
        const token = yield* afterCrash(given, mode)
        assert.notInclude([left.auth_token, "abc"], token, JSON.stringify([given, mode]))
        assert.match(token, /^[\da-f]{64}$/)
      }
    })
  )
})

describe("every response", () => {
  it.live("has a request id and may not be framed", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const ids = new Set<string>()
      for (const [path, status] of [
        ["/health", 200],
        ["/api/v1/channels", 200],
        ["/nothing", 404],
        ["/api/v1/events?limit=x", 400]
      ] as const) {
        const { headers, status: given } = yield* hub.get(path)
        assert.strictEqual(given, status)
        assert.strictEqual(headers.get("x-frame-options"), "DENY")
        assert.match(headers.get("x-request-id") ?? "", /^[\da-f-]{36}$/)
        ids.add(headers.get("x-request-id") ?? "")
      }
      assert.strictEqual(ids.size, 4)
      const echoed = (id: string) =>
        Effect.map(
          hub.request("GET", "/api/v1/channels", undefined, { headers: { "x-request-id": id } }),
          ({ headers }) => headers.get("x-request-id")
        )
      for (const id of ["req-1", "a:b/c.d_e=@~+", "x".repeat(128)]) assert.strictEqual(yield* echoed(id), id)
      for (const id of ["", "x".repeat(129), "a b", "a;b", "<b>", "\u00fc"]) {
        assert.match((yield* echoed(id)) ?? "", /^[\da-f-]{36}$/, id)
      }
    })
  )

  it.effect("tells how many requests are left; 429 says what the limit is", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ rateLimits: { perClient: 3, total: 4 } })
      const left = (path: string, token: string | null = null) =>
        Effect.map(hub.request("GET", path, undefined, { token }), ({ status, headers, body }) => ({
          status,
          body,
          headers: ["limit", "remaining", "reset"].map((name) => headers.get(`x-ratelimit-${name}`))
        }))
      yield* TestClock.adjust("100 seconds")
      assert.deepStrictEqual((yield* left("/health")).headers, [null, null, null])
      assert.deepStrictEqual((yield* left("/api/v1/channels")).headers, ["3", "2", "101"])
      assert.deepStrictEqual((yield* left("/nothing")).headers, ["3", "1", "101"])
      assert.deepStrictEqual((yield* left("/api/v1/channels")).headers, ["3", "0", "101"])
      const refused = yield* left("/api/v1/channels")
      assert.strictEqual(refused.status, 429)
      assert.deepStrictEqual(refused.headers, ["3", "0", "101"])
      assert.deepStrictEqual(refused.body.details, { limit: 3, window: "1s", retry_after: 1 })
      assert.deepStrictEqual((yield* left("/api/v1/channels", hub.token)).status, 200)
      // Of all clients together.
      const all = yield* left("/api/v1/channels", hub.token)
      assert.deepStrictEqual([all.status, all.body.details.limit, all.headers[0]], [429, 4, "4"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* left("/api/v1/channels")).headers, ["3", "2", "102"])
    })
  )
})
