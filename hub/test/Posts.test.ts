/** Posts that arrive together: one transaction, and each post's own result. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { EventLog } from "../src/core/EventLog.ts"
import { Ids } from "../src/core/Ids.ts"
import { Findings } from "../src/jobs/Findings.ts"
import { JobQueue } from "../src/jobs/JobQueue.ts"
import { Messages } from "../src/messages/Messages.ts"
import { Erasures } from "../src/retention/Erasures.ts"
import { Topics } from "../src/messages/Topics.ts"
import { Specs } from "../src/plugins/Specs.ts"
import { onPostgres, refusing } from "./testDatabase.ts"
import { emptyDatabase, type Json, linkifierSpec, makeTopic, startHub } from "./testHub.ts"

const storage = Messages.layer.pipe(
  Layer.provide(Erasures.layer),
  Layer.provideMerge(Topics.layer),
  Layer.provideMerge(
    Layer.mergeAll(Findings.layer, JobQueue.layer).pipe(Layer.provide(Specs.layer([linkifierSpec("shouts")])))
  ),
  Layer.provideMerge(Layer.mergeAll(Ids.layer, EventLog.layer)),
  Layer.provideMerge(emptyDatabase)
)

/** Counts the transactions of posts: each looks up its topics once. */
const countWrites = () => {
  let writes = 0
  const transform: Statement.Transformer = (statement) =>
    Effect.sync(() => {
      if (/UPDATE topics SET updated_at/.test(statement.compile(false)[0])) writes++
      return statement
    })
  return {
    writes: () => writes,
    counted: Effect.provideService(Statement.CurrentTransformer, transform)
  }
}

const make = Effect.gen(function* () {
  const services = yield* Layer.build(storage)
  const sql = Context.get(services, SqlClient.SqlClient)
  const topics = Context.get(services, Topics)
  const { create } = Context.get(services, Messages)
  const { channel } = yield* topics.createChannel("general", undefined)
  const { topic } = yield* topics.create(channel.id, "first")
  return {
    sql,
    rows: (text: string): Effect.Effect<ReadonlyArray<Json>> => Effect.orDie(sql.unsafe(text)),
    post: (content_raw: string, topic_id = topic.id) => create({ topic_id, sender: "ana", content_raw })
  }
})

const texts = (from: number, to: number): ReadonlyArray<string> =>
  Array.from({ length: to - from }, (_, index) => `message ${from + index}`)

/** Lets other fibers run until they wait. */
const pause = Effect.repeat(Effect.yieldNow, { times: 10 })

describe("posts that arrive together", () => {
  it.live("share transactions; ids, events and jobs are in the order of arrival", () => {
    const { writes, counted } = countWrites()
    return Effect.gen(function* () {
      const { post, rows } = yield* make
      const posted = yield* Effect.forEach(texts(0, 100), (text) => post(text), { concurrency: "unbounded" })
      // At most 64 posts in one transaction; some may arrive later than others.
      assert.isAtLeast(writes(), 2)
      assert.isBelow(writes(), 10)
      assert.deepStrictEqual(
        posted.map(({ message }) => message.content_raw),
        texts(0, 100)
      )
      const ids = posted.map(({ message }) => message.id)
      assert.deepStrictEqual(ids, ids.toSorted())
      const events = yield* rows(
        "SELECT event_id, entity_id FROM events WHERE name = 'message.created' ORDER BY event_id"
      )
      assert.deepStrictEqual(
        events.map(({ event_id, entity_id }) => [Number(event_id), entity_id]),
        posted.map(({ event_id, message }) => [event_id, message.id])
      )
      const jobs = yield* rows("SELECT message_id FROM outbox ORDER BY message_id")
      assert.deepStrictEqual(
        jobs.map(({ message_id }) => message_id),
        ids
      )
    }).pipe(counted)
  })

  it.live("fail alone: in a topic that does not exist, and if the database refuses one", () =>
    Effect.gen(function* () {
      const { post, rows, sql } = yield* make
      const { begin } = refusing("messages", "INSERT", "NEW.content_raw = 'refused'")
      yield* sql.unsafe(begin)
      const results = yield* Effect.all(
        [
          post("one"),
          post("lost", "nowhere"),
          post("refused"),
          post("large".repeat(20_000)),
          post("two")
        ].map(Effect.exit),
        { concurrency: "unbounded" }
      )
      const failures = results.map((result) =>
        Exit.match(result, {
          onSuccess: () => "posted",
          onFailure: ({ reasons: [reason] }) => (reason?._tag === "Fail" ? reason.error._tag : reason?._tag)
        })
      )
      assert.deepStrictEqual(failures, ["posted", "NOT_FOUND", "SqlError", "PAYLOAD_TOO_LARGE", "posted"])
      const stored = yield* rows("SELECT content_raw FROM messages ORDER BY id")
      assert.deepStrictEqual(
        stored.map(({ content_raw }) => content_raw),
        ["one", "two"]
      )
      const events = yield* rows("SELECT count(*) AS n FROM events WHERE name = 'message.created'")
      assert.strictEqual(Number(events[0].n), 2)
    })
  )

  // A transaction of another fiber holds up posts on SQLite only.
  it.live.skipIf(onPostgres)("go on if one is interrupted before it is written", () =>
    Effect.gen(function* () {
      const { post, rows, sql } = yield* make
      const done = yield* Deferred.make<void>()
      const other = yield* Effect.forkChild(sql.withTransaction(Deferred.await(done)))
      yield* pause
      const first = yield* Effect.forkChild(post("first"))
      yield* pause
      const second = yield* Effect.forkChild(post("second"))
      const third = yield* Effect.forkChild(post("third"))
      yield* pause
      yield* Fiber.interrupt(second)
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(other)
      yield* Effect.forEach([first, third], Fiber.join)
      const stored = yield* rows("SELECT content_raw FROM messages ORDER BY id")
      assert.deepStrictEqual(
        stored.map(({ content_raw }) => content_raw),
        ["first", "third"]
      )
      const events = yield* rows("SELECT count(*) AS n FROM events WHERE name = 'message.created'")
      assert.strictEqual(Number(events[0].n), 2)
    })
  )

  it.live("over HTTP are committed before their responses, with and without an Idempotency-Key", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const send = (content_raw: string, key?: string) =>
        Effect.flatMap(
          hub.post(
            "/api/v1/messages",
            { topic_id: topic, sender: "ana", content_raw },
            key === undefined ? {} : { headers: { "idempotency-key": key } }
          ),
          ({ status, body }) =>
            Effect.map(
              hub.rows(`SELECT content_raw FROM messages WHERE id = '${body.message.id}'`),
              (found) => ({
                status,
                event_id: Number(body.event_id),
                found: found.map((row) => row.content_raw)
              })
            )
        )
      const sent = yield* Effect.forEach(
        texts(0, 30),
        (text, index) => send(text, index % 3 === 0 ? `key-${index % 6}-${index}` : undefined),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        sent.map(({ status, found }) => [status, found]),
        texts(0, 30).map((text) => [201, [text]])
      )
      assert.strictEqual(new Set(sent.map(({ event_id }) => event_id)).size, 30)
      const again = yield* send("message 0", "key-0-0")
      assert.strictEqual(again.event_id, sent[0]?.event_id)
    })
  )
})
