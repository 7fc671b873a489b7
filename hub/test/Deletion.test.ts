/** What a deletion removes, and what it leaves; docs/operations.md says the same. */
import { ExecutionError } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { makeOldDatabase, someRows } from "./oldDatabase.ts"
import {
  jobsOf,
  extractorSpec,
  type Json,
  linkifierSpec,
  makeTopic,
  startHub,
  tempWorkspace,
  type TestHub
} from "./testHub.ts"

const secret = "SECRET-7431"
const keyed = (key: string) => ({ headers: { "idempotency-key": key } })
const withSecret = () => [{ kind: "shout", span: { start: 0, end: 3 }, data: { text: secret } }]
const quoting = Effect.fail(
  new ExecutionError({
    plugin: "throws",
    cause: { name: "SyntaxError", message: `Unexpected token "S", "${secret}" is not valid JSON` }
  })
)

const remove = (hub: TestHub, id: string, options = {}) =>
  hub.patch(`/api/v1/messages/${id}`, { op: "delete", actor: "bo" }, options)

/** The tables in which a text is somewhere. */
const tablesWith = (hub: TestHub, text: string) =>
  Effect.filter(
    ["messages", "enrichments", "attachments", "derivations", "outbox", "idempotency_keys", "events"],
    (table) => Effect.map(hub.rows(`SELECT * FROM ${table}`), (rows) => JSON.stringify(rows).includes(text))
  )

describe("The deletion of a message", () => {
  it.live("leaves its text in events alone: rows, findings, errors of jobs and kept answers go", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({
        plugins: [linkifierSpec("finds"), extractorSpec("attaches"), linkifierSpec("throws")],
        fakes: {
          finds: () => Effect.sync(withSecret),
          attaches: () => Effect.sync(() => [{ kind: "tag", value_json: { secret } }]),
          throws: () => quoting
        },
        breaker: { failureThreshold: 100, cooldown: "1 minute" }
      })
      const { topic } = yield* makeTopic(hub)
      const body = { topic_id: topic, sender: "ada", content_raw: secret }
      const created = yield* hub.post("/api/v1/messages", body, keyed("one"))
      const id = String(created.body.message.id)
      yield* jobsOf(hub, id)
      yield* hub.patch(
        `/api/v1/messages/${id}`,
        { op: "edit", content_raw: `${secret}, edited` },
        keyed("two")
      )
      const before = yield* jobsOf(hub, id)
      assert.isTrue(before.some(({ state }) => state === "failed"))
      // What the next assertion looks for was there.
      assert.deepStrictEqual(yield* tablesWith(hub, secret), [
        "messages",
        "enrichments",
        "attachments",
        "derivations",
        "idempotency_keys",
        "events"
      ])
      yield* remove(hub, id)
      assert.deepStrictEqual(yield* tablesWith(hub, secret), ["events"])
      const events = yield* hub.rows("SELECT name, data_json FROM events ORDER BY event_id")
      assert.deepStrictEqual(
        [
          ...new Set(events.filter((row) => JSON.stringify(row).includes(secret)).map(({ name }) => name))
        ].sort(),
        ["message.created", "message.edited", "message.enriched", "plugin.failed", "topic.attachment_added"]
      )
    })
  )

  it.live("makes a repeat of its key answer with the tombstone, and do nothing", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const body = { topic_id: topic, sender: "ada", content_raw: secret }
      const created = yield* hub.post("/api/v1/messages", body, keyed("one"))
      const other = yield* hub.post("/api/v1/messages", body, keyed("two"))
      const deleted = yield* remove(hub, created.body.message.id, keyed("three"))
      for (const content_raw of [secret, "another text"]) {
        const again = yield* hub.post("/api/v1/messages", { ...body, content_raw }, keyed("one"))
        assert.strictEqual(again.status, 201)
        assert.strictEqual(again.headers.get("idempotency-replayed"), "true")
        assert.deepStrictEqual(again.body, {
          message: deleted.body.message,
          event_id: created.body.event_id
        })
      }
      assert.strictEqual(deleted.body.message.content_raw, "[deleted]")
      assert.lengthOf(yield* hub.rows("SELECT id FROM messages"), 2)
      assert.deepStrictEqual((yield* remove(hub, created.body.message.id, keyed("three"))).body, deleted.body)
      assert.deepStrictEqual((yield* hub.post("/api/v1/messages", body, keyed("two"))).body, other.body)
    })
  )

  it.live("leaves what a client attached, though it names the message", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const body = { topic_id: topic, sender: "ada", content_raw: "hello" }
      const { id } = (yield* hub.post("/api/v1/messages", body)).body.message
      const attachment = { kind: "note", value_json: { by: "ada" }, source_message_id: id }
      const posted = yield* hub.post(`/api/v1/topics/${topic}/attachments`, attachment)
      yield* remove(hub, id)
      const left = yield* hub.get(`/api/v1/topics/${topic}/attachments`)
      assert.deepStrictEqual(left.body.attachments, [posted.body.attachment])
    })
  )

  it.live("ends a run that fails after it as stale: its error may quote the text", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const hub = yield* startHub({
        plugins: [linkifierSpec("throws")],
        fakes: {
          throws: () =>
            Deferred.succeed(entered, undefined).pipe(
              Effect.andThen(Deferred.await(go)),
              Effect.andThen(quoting)
            )
        }
      })
      const { topic } = yield* makeTopic(hub)
      const body = { topic_id: topic, sender: "ada", content_raw: secret }
      const { id } = (yield* hub.post("/api/v1/messages", body)).body.message
      yield* Deferred.await(entered)
      yield* remove(hub, id)
      yield* Deferred.succeed(go, undefined)
      const [job] = yield* jobsOf(hub, id)
      assert.deepInclude(job, { state: "stale", error: null })
      const told: ReadonlyArray<Json> = yield* hub.rows(
        "SELECT name, data_json FROM events WHERE name LIKE 'plugin.%'"
      )
      assert.deepStrictEqual(
        told.map(({ name }) => name),
        ["plugin.stale"]
      )
      assert.notInclude(JSON.stringify(told), secret)
    })
  )

  it.live("finds answers that a hub kept before it noted their messages", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const kept = (key: string, answer: object) =>
        `INSERT INTO idempotency_keys VALUES ('${key}', 'digest', 201, '${JSON.stringify(answer)}', '2100')`
      const message = { id: "e", content_raw: secret }
      yield* makeOldDatabase(workspace, 5, [
        ...someRows(secret),
        `INSERT INTO events (ts, name, entity_type, entity_id, data_json)
          VALUES ('', 'message.created', 'message', 'e', '${JSON.stringify({ message })}')`,
        kept("POST /api/v1/messages one", { message, event_id: 1 }),
        kept("PATCH /api/v1/messages/e two", { affected_count: 0, event_ids: [] })
      ])
      const hub = yield* startHub({ workspace })
      yield* remove(hub, "e")
      assert.deepStrictEqual(yield* tablesWith(hub, secret), ["events"])
    })
  )
})
