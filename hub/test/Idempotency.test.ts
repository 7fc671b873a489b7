/** `Idempotency-Key`: a write that comes again is answered as before, and done once. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { refusing } from "./testDatabase.ts"
import { eventually, linkifierSpec, makeTopic, startHub, tempWorkspace } from "./testHub.ts"

const keyed = (key: string) => ({ headers: { "idempotency-key": key } })

const setUp = Effect.gen(function* () {
  const hub = yield* startHub()
  const { topic } = yield* makeTopic(hub)
  const body = { topic_id: topic, sender: "ada", content_raw: "hello" }
  return { hub, topic, body }
})

describe("Idempotency-Key", () => {
  it.live("a post that comes again is answered as the first, byte for byte, and not done again", () =>
    Effect.gen(function* () {
      const { hub, body } = yield* setUp
      const first = yield* hub.post("/api/v1/messages", body, keyed("one"))
      const again = yield* hub.post("/api/v1/messages", body, keyed("one"))
      assert.strictEqual(first.status, 201)
      assert.strictEqual(again.status, 201)
      assert.deepStrictEqual(again.body, first.body)
      assert.isNull(first.headers.get("idempotency-replayed"))
      assert.strictEqual(again.headers.get("idempotency-replayed"), "true")
      assert.include(again.headers.get("content-type") ?? "", "application/json")
      assert.lengthOf(yield* hub.rows("SELECT id FROM messages"), 1)
      assert.lengthOf(yield* hub.rows("SELECT event_id FROM events WHERE name = 'message.created'"), 1)
    })
  )

  it.live("another key, another path or no key is another request", () =>
    Effect.gen(function* () {
      const { hub, body } = yield* setUp
      const ids: Array<unknown> = []
      for (const options of [keyed("one"), keyed("two"), {}, {}]) {
        ids.push((yield* hub.post("/api/v1/messages", body, options)).body.message.id)
      }
      assert.strictEqual(new Set(ids).size, 4)
      const edit = { op: "edit", content_raw: "new" }
      for (const id of ids) {
        const edited = yield* hub.patch(`/api/v1/messages/${id}`, edit, keyed("one"))
        assert.strictEqual(edited.body.message.id, id)
        assert.strictEqual(edited.body.message.version, 2)
      }
      const again = yield* hub.patch(`/api/v1/messages/${ids[0]}`, edit, keyed("one"))
      assert.strictEqual(again.body.message.version, 2)
    })
  )

  it.live("another body under the same key is refused", () =>
    Effect.gen(function* () {
      const { hub, body } = yield* setUp
      yield* hub.post("/api/v1/messages", body, keyed("one"))
      const other = yield* hub.post("/api/v1/messages", { ...body, content_raw: "other" }, keyed("one"))
      assert.strictEqual(other.status, 400)
      assert.strictEqual(other.body.code, "INVALID_INPUT")
      assert.include(other.body.error, "another body")
      assert.lengthOf(yield* hub.rows("SELECT id FROM messages"), 1)
    })
  )

  it.live("a key that is too long, or has blanks, is refused, and nothing is done", () =>
    Effect.gen(function* () {
      const { hub, body } = yield* setUp
      for (const key of ["x".repeat(256), "a b", "ä"]) {
        const refused = yield* hub.post("/api/v1/messages", body, keyed(key))
        assert.strictEqual(refused.status, 400, key)
        assert.include(refused.body.error, "Idempotency-Key")
      }
      assert.lengthOf(yield* hub.rows("SELECT id FROM messages"), 0)
      assert.strictEqual((yield* hub.post("/api/v1/messages", body, keyed("x".repeat(255)))).status, 201)
    })
  )

  it.live("a refusal is not kept: the same request may succeed later", () =>
    Effect.gen(function* () {
      const { hub, body } = yield* setUp
      const path = `/api/v1/messages/${(yield* hub.post("/api/v1/messages", body)).body.message.id}`
      const second = { op: "edit", content_raw: "second", expected_version: 2 }
      assert.strictEqual((yield* hub.patch(path, second, keyed("one"))).status, 409)
      yield* hub.patch(path, { op: "edit", content_raw: "first" })
      assert.strictEqual((yield* hub.patch(path, second, keyed("one"))).body.message.version, 3)
      assert.strictEqual((yield* hub.patch(path, second, keyed("one"))).body.message.version, 3)
      const broken = yield* hub.post("/api/v1/messages", undefined, { raw: "{", ...keyed("two") })
      assert.strictEqual(broken.status, 400)
      assert.strictEqual((yield* hub.post("/api/v1/messages", body, keyed("two"))).status, 201)
    })
  )

  it.live("of many at once one is done, and all have its answer", () =>
    Effect.gen(function* () {
      const { hub, body } = yield* setUp
      const answers = yield* Effect.replicateEffect(hub.post("/api/v1/messages", body, keyed("one")), 30, {
        concurrency: "unbounded"
      })
      for (const answer of answers) assert.deepStrictEqual(answer.body, answers[0]?.body)
      assert.lengthOf(yield* hub.rows("SELECT id FROM messages"), 1)
    })
  )

  it.live("who has not the token is told nothing of the answer", () =>
    Effect.gen(function* () {
      const { hub, body } = yield* setUp
      yield* hub.post("/api/v1/messages", body, keyed("one"))
      for (const token of [null, "wrong"]) {
        const refused = yield* hub.post("/api/v1/messages", body, { ...keyed("one"), token })
        assert.strictEqual(refused.status, 401)
        assert.notProperty(refused.body, "message")
      }
    })
  )

  it.live("the change and its answer are kept together or not at all", () =>
    Effect.gen(function* () {
      const { hub, body } = yield* setUp
      const refusal = refusing("idempotency_keys", "UPDATE", "true")
      const counted = Effect.promise(async () => {
        const text = await (await fetch(`${hub.url}/metrics`)).text()
        return Number(/agentlip_messages_total\{change="create"\} (\d+)/.exec(text)?.[1] ?? 0)
      })
      const before = yield* counted
      yield* hub.rows(refusal.begin)
      assert.strictEqual((yield* hub.post("/api/v1/messages", body, keyed("one"))).status, 500)
      assert.lengthOf(yield* hub.rows("SELECT id FROM messages"), 0)
      assert.strictEqual(yield* counted, before)
      yield* hub.rows(refusal.end)
      assert.strictEqual((yield* hub.post("/api/v1/messages", body, keyed("one"))).status, 201)
      assert.strictEqual(yield* counted, before + 1)
    })
  )

  it.live("answers outlive the hub, and plugins run once", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      let runs = 0
      const options = {
        workspace,
        plugins: [linkifierSpec("counts")],
        fakes: { counts: () => Effect.sync(() => void runs++).pipe(Effect.as([])) }
      }
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* startHub(options)
          const { topic } = yield* makeTopic(hub)
          const body = { topic_id: topic, sender: "ada", content_raw: "hello" }
          const { body: answer } = yield* hub.post("/api/v1/messages", body, keyed("one"))
          yield* eventually(
            hub.rows("SELECT state FROM derivations"),
            (rows) => rows.length === 1 && rows[0].state === "empty"
          )
          return { body, answer }
        })
      )
      const hub = yield* startHub(options)
      const again = yield* hub.post("/api/v1/messages", first.body, keyed("one"))
      assert.deepStrictEqual(again.body, first.answer)
      assert.lengthOf(yield* hub.rows("SELECT message_id FROM derivations"), 1)
      assert.lengthOf(yield* hub.rows("SELECT message_id FROM outbox"), 0)
      assert.strictEqual(runs, 1)
    })
  )

  it.effect("answers are forgotten after a day", () =>
    Effect.gen(function* () {
      const { hub, body } = yield* setUp
      const kept = hub.rows("SELECT key FROM idempotency_keys")
      const first = yield* hub.post("/api/v1/messages", body, keyed("one"))
      yield* TestClock.adjust("23 hours")
      const within = yield* hub.post("/api/v1/messages", body, keyed("one"))
      assert.deepStrictEqual(within.body, first.body)
      yield* TestClock.adjust("2 hours")
      // A sweep on another machine's time may be late, and see a clock that has gone on meanwhile.
      while ((yield* kept).length > 0) yield* TestClock.adjust("1 hour")
      const after = yield* hub.post("/api/v1/messages", body, keyed("one"))
      assert.notStrictEqual(after.body.message.id, first.body.message.id)
    })
  )
})
