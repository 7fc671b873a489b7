import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Api } from "@agentlip/protocol"
import { onPostgres } from "./testDatabase.ts"
import { type Answer, type Json, makeTopic, startHub, tempWorkspace, type TestHub } from "./testHub.ts"

const refused = ({ status, body }: Answer, expected: number, code: string): void => {
  assert.strictEqual(status, expected, JSON.stringify(body))
  assert.strictEqual(body.code, code)
  assert.isString(body.error)
  assert.isAbove(body.error.length, 0)
}

const isTime = (text: unknown): void => assert.match(String(text), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

const say = (hub: TestHub, topic_id: string, content_raw = "hello"): Effect.Effect<Json> =>
  Effect.map(
    hub.post("/api/v1/messages", { topic_id, sender: "ana", content_raw }),
    ({ body }) => body.message
  )

const lastEvent = (hub: TestHub): Effect.Effect<Json> =>
  Effect.map(hub.get("/api/v1/events?tail=1"), ({ body }) => body.events[0])

describe("GET /health", () => {
  it.live("says who the hub is", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { status, body } = yield* hub.get("/health")
      assert.strictEqual(status, 200)
      assert.include(body, { status: "ok", schema_version: 1, protocol_version: "v1", pid: process.pid })
      assert.isAtLeast(body.uptime_seconds, 0)
      assert.isString(body.instance_id)
      assert.isString(body.db_id)
    })
  )
})

describe("channels", () => {
  it.live("are created once by name and listed", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const created = yield* hub.post("/api/v1/channels", { name: "general", description: "all of us" })
      assert.strictEqual(created.status, 201)
      assert.include(created.body.channel, { name: "general", description: "all of us" })
      isTime(created.body.channel.created_at)
      const event = yield* lastEvent(hub)
      assert.strictEqual(event.event_id, created.body.event_id)
      assert.strictEqual(event.name, "channel.created")
      assert.deepStrictEqual(event.data_json, { channel: created.body.channel })
      assert.deepStrictEqual(event.scope, {
        channel_id: created.body.channel.id,
        topic_id: null,
        topic_id2: null
      })
      assert.deepStrictEqual((yield* hub.get("/api/v1/channels")).body, {
        channels: [created.body.channel],
        has_more: false
      })
      refused(yield* hub.post("/api/v1/channels", { name: "general" }), 400, "INVALID_INPUT")
      for (const name of ["", "  ", "x".repeat(101), 7, null]) {
        refused(yield* hub.post("/api/v1/channels", { name }), 400, "INVALID_INPUT")
      }
      assert.strictEqual((yield* hub.post("/api/v1/channels", { name: "x".repeat(100) })).status, 201)
    })
  )
})

describe("topics", () => {
  it.live("are created once by title in a channel, renamed, and listed in pages", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { channel, topic } = yield* makeTopic(hub)
      const titles = ["second", "third"]
      for (const title of titles) {
        const { status, body } = yield* hub.post("/api/v1/topics", { channel_id: channel, title })
        assert.strictEqual(status, 201)
        assert.include(body.topic, { channel_id: channel, title })
        isTime(body.topic.updated_at)
      }
      refused(
        yield* hub.post("/api/v1/topics", { channel_id: channel, title: "third" }),
        400,
        "INVALID_INPUT"
      )
      refused(yield* hub.post("/api/v1/topics", { channel_id: "none", title: "x" }), 404, "NOT_FOUND")
      refused(
        yield* hub.post("/api/v1/topics", { channel_id: channel, title: "x".repeat(201) }),
        400,
        "INVALID_INPUT"
      )
      const page = yield* hub.get(`/api/v1/channels/${channel}/topics?limit=2`)
      assert.deepStrictEqual(
        page.body.topics.map(({ title }: Json) => title),
        ["third", "second"]
      )
      assert.strictEqual(page.body.has_more, true)
      const rest = yield* hub.get(`/api/v1/channels/${channel}/topics?limit=2&offset=2`)
      assert.strictEqual(rest.body.topics.length, 1)
      assert.strictEqual(rest.body.has_more, false)
      refused(yield* hub.get("/api/v1/channels/none/topics"), 404, "NOT_FOUND")
      refused(yield* hub.get(`/api/v1/channels/${channel}/topics?limit=0`), 400, "INVALID_INPUT")

      const renamed = yield* hub.patch(`/api/v1/topics/${topic}`, { title: "primus" })
      assert.strictEqual(renamed.status, 200)
      assert.strictEqual(renamed.body.topic.title, "primus")
      const event = yield* lastEvent(hub)
      assert.strictEqual(event.event_id, renamed.body.event_id)
      assert.strictEqual(event.name, "topic.renamed")
      assert.deepStrictEqual(event.data_json, { topic_id: topic, old_title: "first", new_title: "primus" })
      refused(yield* hub.patch(`/api/v1/topics/${topic}`, { title: "second" }), 400, "INVALID_INPUT")
      refused(yield* hub.patch("/api/v1/topics/none", { title: "x" }), 404, "NOT_FOUND")
    })
  )
})

describe("messages", () => {
  it.live("are created and listed newest first, in pages by id", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { channel, topic } = yield* makeTopic(hub)
      const sent: Array<Json> = []
      for (const text of ["one", "two", "three"]) sent.push(yield* say(hub, topic, text))
      const [one, two, three] = sent
      assert.deepStrictEqual(Object.keys(one).sort(), [
        "channel_id",
        "content_raw",
        "created_at",
        "deleted_at",
        "deleted_by",
        "edited_at",
        "id",
        "sender",
        "topic_id",
        "version"
      ])
      assert.include(one, {
        topic_id: topic,
        channel_id: channel,
        sender: "ana",
        content_raw: "one",
        version: 1
      })
      assert.isTrue(one.id < two.id && two.id < three.id)
      const event = yield* lastEvent(hub)
      assert.strictEqual(event.name, "message.created")
      assert.deepStrictEqual(event.data_json, { message: three })
      assert.deepStrictEqual(event.scope, { channel_id: channel, topic_id: topic, topic_id2: null })

      const list = (query: string) => Effect.map(hub.get(`/api/v1/messages?${query}`), ({ body }) => body)
      assert.deepStrictEqual(yield* list(`topic_id=${topic}`), {
        messages: [three, two, one],
        has_more: false
      })
      assert.deepStrictEqual(yield* list(`channel_id=${channel}&limit=2`), {
        messages: [three, two],
        has_more: true
      })
      assert.deepStrictEqual((yield* list(`topic_id=${topic}&before_id=${two.id}`)).messages, [one])
      assert.deepStrictEqual((yield* list(`topic_id=${topic}&after_id=${two.id}`)).messages, [three])
      assert.deepStrictEqual((yield* list("topic_id=none")).messages, [])
      refused(yield* hub.get("/api/v1/messages"), 400, "INVALID_INPUT")
      refused(yield* hub.get(`/api/v1/messages?topic_id=${topic}&limit=many`), 400, "INVALID_INPUT")
    })
  )

  it.live("refuse what is not a message", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const post = (fields: Json) =>
        hub.post("/api/v1/messages", { topic_id: topic, sender: "ana", content_raw: "x", ...fields })
      refused(yield* post({ topic_id: "none" }), 404, "NOT_FOUND")
      refused(yield* post({ sender: "" }), 400, "INVALID_INPUT")
      refused(yield* post({ content_raw: 7 }), 400, "INVALID_INPUT")
      refused(yield* post({ content_raw: undefined }), 400, "INVALID_INPUT")
      // 64 KiB are bytes: these are 64 KiB and one.
      refused(yield* post({ content_raw: `${"é".repeat(32 * 1024)}x` }), 400, "PAYLOAD_TOO_LARGE")
      refused(yield* post({ content_raw: "x".repeat(2_000_000) }), 400, "PAYLOAD_TOO_LARGE")
      assert.strictEqual((yield* post({ content_raw: "é".repeat(32 * 1024) })).status, 201)
      refused(yield* post({ content_raw: "nul \u0000" }), 400, "INVALID_INPUT")
      refused(yield* post({ content_raw: "lone \ud800, 🦊" }), 400, "INVALID_INPUT")
      const odd = yield* post({ content_raw: "a pair, 🦊" })
      assert.strictEqual(odd.body.message.content_raw, "a pair, 🦊")
      const listed = yield* hub.get(`/api/v1/messages?topic_id=${topic}&limit=1`)
      assert.deepStrictEqual(listed.body.messages[0], odd.body.message)
    })
  )

  it.live("are edited; expected_version is held", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const { id } = yield* say(hub, topic, "old")
      const change = (body: Json) => hub.patch(`/api/v1/messages/${id}`, body)
      const edited = yield* change({ op: "edit", content_raw: "new", expected_version: 1 })
      assert.strictEqual(edited.status, 200)
      assert.include(edited.body.message, { content_raw: "new", version: 2 })
      isTime(edited.body.message.edited_at)
      const event = yield* lastEvent(hub)
      assert.strictEqual(event.event_id, edited.body.event_id)
      assert.strictEqual(event.name, "message.edited")
      assert.deepStrictEqual(event.data_json, {
        message_id: id,
        old_content: "old",
        new_content: "new",
        version: 2
      })
      const late = yield* change({ op: "edit", content_raw: "late", expected_version: 1 })
      refused(late, 409, "VERSION_CONFLICT")
      assert.strictEqual(late.body.details.current, 2)
      refused(yield* change({ op: "edit", content_raw: "x".repeat(70_000) }), 400, "PAYLOAD_TOO_LARGE")
      refused(yield* change({ op: "edit" }), 400, "INVALID_INPUT")
      refused(yield* change({ op: "shred" }), 400, "INVALID_INPUT")
      refused(yield* hub.patch("/api/v1/messages/none", { op: "edit", content_raw: "x" }), 404, "NOT_FOUND")
    })
  )

  it.live("take one of many concurrent edits of the same version", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const { id } = yield* say(hub, topic)
      const answers = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n),
        (n) => hub.patch(`/api/v1/messages/${id}`, { op: "edit", content_raw: `${n}`, expected_version: 1 }),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(answers.filter(({ status }) => status === 200).length, 1)
      for (const answer of answers.filter(({ status }) => status !== 200)) {
        refused(answer, 409, "VERSION_CONFLICT")
        assert.strictEqual(answer.body.details.current, 2)
      }
    })
  )

  it.live("are deleted to a tombstone, once", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const { id } = yield* say(hub, topic, "secret")
      const change = (body: Json) => hub.patch(`/api/v1/messages/${id}`, body)
      refused(yield* change({ op: "delete" }), 400, "INVALID_INPUT")
      refused(yield* change({ op: "delete", actor: "bo", expected_version: 9 }), 409, "VERSION_CONFLICT")
      const deleted = yield* change({ op: "delete", actor: "bo", expected_version: 1 })
      assert.strictEqual(deleted.status, 200)
      assert.include(deleted.body.message, { content_raw: "[deleted]", deleted_by: "bo", version: 2 })
      isTime(deleted.body.message.deleted_at)
      const event = yield* lastEvent(hub)
      assert.strictEqual(event.event_id, deleted.body.event_id)
      assert.deepStrictEqual(event.data_json, { message_id: id, deleted_by: "bo", version: 2 })
      const again = yield* change({ op: "delete", actor: "cy", expected_version: 1 })
      assert.strictEqual(again.status, 200)
      assert.deepStrictEqual(again.body, { message: deleted.body.message, event_id: null })
      assert.strictEqual((yield* lastEvent(hub)).event_id, event.event_id)
      refused(yield* change({ op: "edit", content_raw: "back" }), 400, "INVALID_INPUT")
      const listed = yield* hub.get(`/api/v1/messages?topic_id=${topic}`)
      assert.deepStrictEqual(listed.body.messages, [deleted.body.message])
    })
  )

  it.live("move within their channel: one, later or all", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { channel, topic } = yield* makeTopic(hub)
      const other = (yield* hub.post("/api/v1/topics", { channel_id: channel, title: "other" })).body.topic.id
      const sent: Array<Json> = []
      for (const text of ["1", "2", "3", "4"]) sent.push(yield* say(hub, topic, text))
      const move = (message: Json, fields: Json) =>
        hub.patch(`/api/v1/messages/${message.id}`, { op: "move_topic", to_topic_id: other, ...fields })

      const one = yield* move(sent[0], { mode: "one", expected_version: 1 })
      assert.strictEqual(one.status, 200)
      assert.strictEqual(one.body.affected_count, 1)
      const event = yield* lastEvent(hub)
      assert.deepStrictEqual(one.body.event_ids, [event.event_id])
      assert.strictEqual(event.name, "message.moved_topic")
      assert.deepStrictEqual(event.scope, { channel_id: channel, topic_id: topic, topic_id2: other })
      assert.deepStrictEqual(event.data_json, {
        message_id: sent[0].id,
        old_topic_id: topic,
        new_topic_id: other,
        channel_id: channel,
        mode: "one",
        version: 2
      })
      const there = yield* move(sent[0], { mode: "all" })
      assert.deepStrictEqual(there.body, { affected_count: 0, event_ids: [] })
      const later = yield* move(sent[2], { mode: "later" })
      assert.strictEqual(later.body.affected_count, 2)
      assert.strictEqual(later.body.event_ids.length, 2)
      const all = yield* move(sent[1], { mode: "all" })
      assert.strictEqual(all.body.affected_count, 1)
      assert.strictEqual((yield* hub.get(`/api/v1/messages?topic_id=${other}`)).body.messages.length, 4)

      const elsewhere = yield* makeTopic(hub, "elsewhere")
      refused(yield* move(sent[0], { mode: "one", to_topic_id: elsewhere.topic }), 400, "CROSS_CHANNEL_MOVE")
      refused(yield* move(sent[0], { mode: "one", to_topic_id: "none" }), 404, "NOT_FOUND")
      refused(yield* move(sent[0], { mode: "one", expected_version: 1 }), 409, "VERSION_CONFLICT")
      refused(yield* move(sent[0], { mode: "some" }), 400, "INVALID_INPUT")
    })
  )
})

describe("attachments", () => {
  it.live("are added once by (kind, key, dedupe_key) and listed by kind", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { channel, topic } = yield* makeTopic(hub)
      const { id } = yield* say(hub, topic)
      const post = (body: Json) => hub.post(`/api/v1/topics/${topic}/attachments`, body)
      const value_json = { url: "https://example.com" }
      const added = yield* post({ kind: "link", value_json, source_message_id: id })
      assert.strictEqual(added.status, 201)
      assert.deepStrictEqual(
        { ...added.body.attachment, id: "", created_at: "" },
        {
          id: "",
          topic_id: topic,
          kind: "link",
          key: null,
          value_json,
          dedupe_key: JSON.stringify(value_json),
          source_message_id: id,
          created_at: ""
        }
      )
      const event = yield* lastEvent(hub)
      assert.strictEqual(event.event_id, added.body.event_id)
      assert.strictEqual(event.name, "topic.attachment_added")
      assert.deepStrictEqual(event.scope, { channel_id: channel, topic_id: topic, topic_id2: null })
      assert.deepStrictEqual(event.data_json, { attachment: added.body.attachment })

      const again = yield* post({ kind: "link", value_json })
      assert.strictEqual(again.status, 200)
      const known = { attachment: added.body.attachment, event_id: null, deduplicated: true }
      assert.deepStrictEqual(again.body, known)
      // No key is the empty key.
      assert.deepStrictEqual((yield* post({ kind: "link", key: "", value_json })).body, known)
      assert.strictEqual((yield* post({ kind: "link", key: "k", value_json })).status, 201)
      assert.strictEqual((yield* post({ kind: "link", value_json, dedupe_key: "d" })).status, 201)
      const same = yield* post({ kind: "link", value_json: { other: true }, dedupe_key: "d" })
      assert.strictEqual(same.status, 200)
      assert.deepStrictEqual(same.body.attachment.value_json, value_json)
      assert.strictEqual((yield* post({ kind: "note", value_json })).status, 201)

      const list = (query = "") => hub.get(`/api/v1/topics/${topic}/attachments${query}`)
      assert.strictEqual((yield* list()).body.attachments.length, 4)
      assert.strictEqual((yield* list("?kind=note")).body.attachments.length, 1)
      refused(yield* hub.get("/api/v1/topics/none/attachments"), 404, "NOT_FOUND")
      refused(yield* hub.post("/api/v1/topics/none/attachments", { kind: "x", value_json }), 404, "NOT_FOUND")
      refused(
        yield* post({ kind: "x", value_json: { text: "x".repeat(16 * 1024) } }),
        400,
        "PAYLOAD_TOO_LARGE"
      )
      for (const body of [{ kind: "", value_json }, { kind: "x" }, { kind: "x", value_json: [1] }]) {
        refused(yield* post(body), 400, "INVALID_INPUT")
      }
      refused(yield* post({ kind: "x", value_json, source_message_id: "none" }), 400, "INVALID_INPUT")
    })
  )
})

describe("events", () => {
  it.live("are listed in order, from a number or the end, and filtered", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const first = yield* makeTopic(hub, "first")
      const second = yield* makeTopic(hub, "second")
      yield* say(hub, first.topic)
      yield* say(hub, second.topic)
      const list = (query: string) => Effect.map(hub.get(`/api/v1/events?${query}`), ({ body }) => body)
      const numbers = ({ events }: Json): Array<number> => events.map(({ event_id }: Json) => event_id)
      const all = yield* list("")
      assert.strictEqual(all.replay_until, 6)
      assert.deepStrictEqual(numbers(all), [1, 2, 3, 4, 5, 6])
      isTime(all.events[0].ts)
      assert.deepStrictEqual(numbers(yield* list("after=2&limit=2")), [3, 4])
      assert.deepStrictEqual(numbers(yield* list("tail=2")), [5, 6])
      assert.deepStrictEqual(numbers(yield* list(`channel_id=${first.channel}`)), [1, 2, 5])
      assert.deepStrictEqual(numbers(yield* list(`topic_id=${second.topic}`)), [4, 6])
      assert.deepStrictEqual(
        numbers(yield* list(`topic_id=${second.topic}&topic_id=${first.topic}`)),
        [2, 4, 5, 6]
      )
      assert.deepStrictEqual(
        numbers(yield* list(`topic_id=${second.topic}&channel_id=${first.channel}&tail=3`)),
        [4, 5, 6]
      )
      for (const query of ["limit=0", "tail=0", "after=-1", "after=x", "tail=1&after=0"]) {
        refused(yield* hub.get(`/api/v1/events?${query}`), 400, "INVALID_INPUT")
      }
    })
  )

  it.live("are never changed or removed, not even in the database", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      yield* makeTopic(hub)
      for (const statement of ["UPDATE events SET name = 'x'", "DELETE FROM events"]) {
        assert.isTrue(Exit.isFailure(yield* Effect.exit(hub.rows(statement))))
      }
      assert.strictEqual((yield* hub.get("/api/v1/events")).body.events.length, 2)
    })
  )
})

describe("every refusal", () => {
  it.live("has a JSON body, whoever refuses", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      refused(yield* hub.get("/api/v1/nothing"), 404, "NOT_FOUND")
      refused(yield* hub.request("PUT", "/api/v1/channels", {}), 405, "METHOD_NOT_ALLOWED")
      refused(yield* hub.post("/api/v1/channels", undefined, { raw: "{" }), 400, "INVALID_INPUT")
      refused(yield* hub.post("/api/v1/channels", undefined, { raw: "" }), 400, "INVALID_INPUT")
      refused(
        yield* hub.post("/api/v1/channels", undefined, {
          raw: "a=b",
          headers: { "content-type": "text/csv" }
        }),
        400,
        "INVALID_INPUT"
      )
      refused(yield* hub.get(`/api/v1/messages/${"x".repeat(500)}/enrichments`), 404, "NOT_FOUND")
      refused(yield* hub.get("/api/v1/messages/none/enrichments"), 404, "NOT_FOUND")
      refused(yield* hub.get("/api/v1/messages/none/derivations"), 404, "NOT_FOUND")
    })
  )

  it.live("survives bodies made to break a parser", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const route = `/api/v1/topics/${topic}/attachments`
      const deep = "[".repeat(200_000) + "]".repeat(200_000)
      const nested = yield* hub.post(route, undefined, { raw: `{"kind":"x","value_json":{"a":${deep}}}` })
      assert.oneOf(nested.status, [400, 500])
      assert.isString(nested.body.code)
      const proto = yield* hub.post(route, undefined, {
        raw: '{"kind":"x","value_json":{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}}'
      })
      assert.strictEqual(proto.status, 201)
      assert.isUndefined(Reflect.get({}, "polluted"))
      assert.strictEqual((yield* hub.get("/health")).status, 200)
    })
  )

  it.live("INTERNAL_ERROR tells nothing of what happened", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      yield* hub.rows("DROP TABLE derivations")
      const { topic } = yield* makeTopic(hub)
      const answer = yield* hub.get(`/api/v1/messages/${(yield* say(hub, topic)).id}/derivations`)
      refused(answer, 500, "INTERNAL_ERROR")
      assert.notInclude(JSON.stringify(answer.body), "derivations")
    })
  )

  it.live("writes need the token; reads do not", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const { id } = yield* say(hub, topic)
      const writes = [
        ["POST", "/api/v1/channels"],
        ["POST", "/api/v1/topics"],
        ["PATCH", `/api/v1/topics/${topic}`],
        ["POST", "/api/v1/messages"],
        ["PATCH", `/api/v1/messages/${id}`],
        ["POST", `/api/v1/topics/${topic}/attachments`]
      ] as const
      const wrong = hub.token.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))
      for (const [method, route] of writes) {
        refused(yield* hub.request(method, route, {}, { token: null }), 401, "MISSING_AUTH")
        for (const token of [wrong, "x", `${hub.token}0`, hub.token.slice(1)]) {
          const answer = yield* hub.request(method, route, {}, { token })
          refused(answer, 401, "INVALID_AUTH")
          assert.notInclude(JSON.stringify(answer.body), token)
        }
        const basic = { token: null, headers: { authorization: `Basic ${hub.token}` } }
        refused(yield* hub.request(method, route, {}, basic), 401, "MISSING_AUTH")
      }
    })
  )
})

describe("the workspace", () => {
  it.live("is private, and server.json is there while the hub runs", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const scope = yield* Scope.make()
      const hub = yield* Scope.provide(startHub({ workspace }), scope)
      const folder = path.join(workspace, ".agentlip")
      const file = path.join(folder, "server.json")
      const mode = (at: string): number => fs.statSync(at).mode & 0o777
      assert.strictEqual(mode(folder), 0o700)
      assert.strictEqual(mode(file), 0o600)
      const server: Json = JSON.parse(fs.readFileSync(file, "utf8"))
      const health = (yield* hub.get("/health")).body
      assert.match(server.auth_token, /^[0-9a-f]{32,}$/)
      assert.include(server, {
        instance_id: health.instance_id,
        db_id: health.db_id,
        host: "127.0.0.1",
        pid: process.pid,
        protocol_version: "v1",
        schema_version: 1
      })
      isTime(server.started_at)
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(fs.existsSync(file))
      assert.deepStrictEqual(
        fs.readdirSync(folder).filter((name) => name.startsWith("server")),
        []
      )
      const again = yield* startHub({ workspace })
      const second = (yield* again.get("/health")).body
      assert.strictEqual(second.db_id, health.db_id)
      assert.notStrictEqual(second.instance_id, health.instance_id)
      assert.notStrictEqual(again.token, hub.token)
    })
  )

  it.live("keeps ids in order over a restart, whatever the clock does", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const ahead = "05fffff000000000a"
      yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* startHub({ workspace })
          yield* hub.rows(
            onPostgres
              ? `SELECT setval('ids', x'${ahead.slice(1)}'::bigint)`
              : `INSERT INTO meta (key, value) VALUES ('last_id', '${ahead}')
                  ON CONFLICT (key) DO UPDATE SET value = excluded.value`
          )
        })
      )
      const hub = yield* startHub({ workspace })
      const { channel } = yield* makeTopic(hub)
      assert.isTrue(channel > ahead)
      assert.strictEqual(channel.length, ahead.length)
    })
  )

  it.live("binds to loopback only", () =>
    Effect.gen(function* () {
      for (const host of ["0.0.0.0", "::", "192.168.1.1", "example.com"]) {
        const error = yield* Effect.flip(startHub({ host }))
        assert.strictEqual(error._tag, "HostRefused")
        assert.include(error.message, host)
      }
      const hub = yield* startHub({ host: "::1" })
      assert.include(hub.url, "[::1]")
      assert.strictEqual((yield* hub.get("/health")).status, 200)
    })
  )

  it.live("that is no folder is refused with a reason", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(startHub({ workspace: "/no/such/folder" }))
      assert.strictEqual(error._tag, "WorkspaceError")
      assert.include(error.message, "/no/such/folder")
    })
  )
})

describe("docs/protocol.md and docs/operations.md", () => {
  it("name every route", () => {
    const text = ["protocol", "operations"]
      .map((page) => fs.readFileSync(new URL(`../../docs/${page}.md`, import.meta.url), "utf8"))
      .join("\n")
    const routes = Object.values(Api.groups).flatMap(({ endpoints }) => Object.values(endpoints))
    assert.isAbove(routes.length, 20)
    assert.deepStrictEqual(
      routes.map(({ path }) => path).filter((path) => !text.includes(path)),
      []
    )
  })
})
