/** The search index: how it is built for an existing database, and what a post and a search cost. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Layer } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { TestClock } from "effect/testing"
import { EventLog } from "../src/core/EventLog.ts"
import { Ids } from "../src/core/Ids.ts"
import * as Dialect from "../src/database/Dialect.ts"
import { Topics } from "../src/messages/Topics.ts"
import { SearchIndexer } from "../src/search/SearchIndexer.ts"
import { onPostgres, refusing } from "./testDatabase.ts"
import {
  emptyDatabase,
  eventually,
  type Json,
  makeTopic,
  startHub,
  tempWorkspace,
  type TestHub
} from "./testHub.ts"

const search = (hub: TestHub, q: string, more = "") =>
  Effect.map(hub.get(`/api/v1/search?q=${encodeURIComponent(q)}${more}`), ({ body }) => body)

/** Writes messages as an earlier version has: without an index. */
const insertMessages = Effect.fnUntraced(function* (
  services: Context.Context<SqlClient.SqlClient>,
  { channel, topic }: { readonly channel: string; readonly topic: string },
  count: number,
  text: (n: number) => string
) {
  const sql = Context.get(services, SqlClient.SqlClient)
  const given = Dialect.given(sql, { id: "text", content: "text" })
  for (let at = 0; at < count; at += 5_000) {
    const rows = Array.from({ length: Math.min(5_000, count - at) }, (_, index) => ({
      id: `0${(at + index).toString(16).padStart(16, "0")}`,
      content: text(at + index)
    }))
    yield* Effect.orDie(sql`
      INSERT INTO messages (id, topic_id, channel_id, sender, content_raw, version, content_version, created_at)
      SELECT id, ${topic}, ${channel}, 'ada', content, 1, 1, '2026-01-01T00:00:00.000Z' FROM ${given(rows)}`)
  }
})

/** Empties the index, as that of a database which an earlier version has made. */
const forget = (hub: TestHub) =>
  Effect.andThen(hub.rows("DELETE FROM search_documents"), hub.rows("DELETE FROM search_progress"))

describe("the index", () => {
  it.live(
    "of an existing database is built in the background, the newest first, and goes on after a restart",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const count = 3_000
        yield* Effect.scoped(
          Effect.gen(function* () {
            const hub = yield* startHub({ workspace })
            yield* insertMessages(hub.services, yield* makeTopic(hub), count, (n) => `old message number${n}`)
            yield* hub.get("/api/v1/search?q=old")
            yield* forget(hub)
          })
        )
        yield* Effect.scoped(
          Effect.gen(function* () {
            const hub = yield* startHub({ workspace })
            const { index, results } = yield* search(hub, "number0 OR old", "&limit=1")
            assert.strictEqual(index.total, count)
            // The test posts while it is built.
            if (!index.complete && results.length > 0)
              assert.isAbove(Number(results[0].message.content_raw.slice(18)), 0)
            const topics = yield* hub.rows("SELECT id FROM topics")
            const fresh = { topic_id: topics[0].id, sender: "ada", content_raw: "brand new" }
            yield* hub.post("/api/v1/messages", fresh)
            assert.lengthOf((yield* search(hub, '"brand new"')).results, 1)
          })
        )
        const hub = yield* startHub({ workspace })
        const { index } = yield* eventually(
          Effect.map(hub.get("/api/v1/search/index"), ({ body }) => body),
          ({ index }: Json) => index.complete
        )
        assert.deepStrictEqual(index, { complete: true, done: count, total: count })
        assert.strictEqual((yield* search(hub, "number0")).results.length, 1)
        const newest = (yield* search(hub, "old", "&limit=2")).results
        assert.deepStrictEqual(
          newest.map(({ message }: Json) => message.content_raw),
          [`old message number${count - 1}`, `old message number${count - 2}`]
        )
        // It is counted after the step is committed.
        yield* eventually(
          Effect.promise(async () => (await fetch(`${hub.url}/metrics`)).text()),
          (metrics) => metrics.includes("agentlip_search_index_left 0")
        )
      })
  )

  it.live("is not written by a post: posts work although nothing can be added to it", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const refuse = refusing("search_documents", "INSERT", onPostgres ? "TRUE" : "1")
      yield* hub.rows(refuse.begin)
      const post = (content_raw: string) =>
        hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw })
      for (let n = 0; n < 20; n++) assert.strictEqual((yield* post(`text ${n}`)).status, 201)
      assert.deepStrictEqual(yield* hub.rows("SELECT number FROM search_documents"), [])
      // A search says what it cannot find, and finds it as soon as the index takes it.
      const behind = yield* search(hub, "text")
      assert.deepStrictEqual([behind.results, behind.index.complete], [[], false])
      yield* hub.rows(refuse.end)
      const { results, index } = yield* search(hub, "text", "&limit=50")
      assert.deepStrictEqual([results.length, index.complete], [20, true])
      // Nobody has to search for the index to follow.
      yield* post("text 20")
      yield* eventually(hub.rows("SELECT number FROM search_documents"), ({ length }) => length === 21)
    })
  )

  it.live("lets requests in between two steps, in the background and before a search", () =>
    Effect.gen(function* () {
      const loop = { turns: 0, going: true }
      const turn = (): void => {
        loop.turns++
        if (loop.going) setImmediate(turn)
      }
      turn()
      yield* Effect.addFinalizer(() => Effect.sync(() => (loop.going = false)))
      const steps: Array<number> = []
      const record: Statement.Transformer = (statement) =>
        Effect.sync(() => {
          if (statement.compile(false)[0].includes("INSERT INTO search_documents")) steps.push(loop.turns)
          return statement
        })
      const hub = yield* startHub().pipe(Effect.provideService(Statement.CurrentTransformer, record))
      const indexed = (index: Effect.Effect<unknown>) =>
        Effect.gen(function* () {
          steps.length = 0
          yield* hub.rows("DELETE FROM search_documents")
          yield* hub.rows("UPDATE search_progress SET newest_message = ''")
          yield* index
          assert.isAbove(steps.length, 5)
          assert.strictEqual(new Set(steps).size, steps.length)
        })
      const count = 1_500
      yield* insertMessages(hub.services, yield* makeTopic(hub), count, (n) => `word${n}`)
      // Nothing else tells the hub of rows that a statement writes.
      const wake = hub.post("/api/v1/channels", { name: "news" })
      const all = ({ length }: ReadonlyArray<unknown>) => length >= count
      yield* indexed(Effect.andThen(wake, eventually(hub.rows("SELECT number FROM search_documents"), all)))
      yield* indexed(search(hub, "word1"))
    })
  )

  it.effect("makes the steps of a search while the background pauses", () =>
    Effect.gen(function* () {
      // A clock that goes on with every look at it, so that each step takes time. No pause ends by itself.
      let now = 0
      const clock: Clock.Clock = Object.assign(Object.create(yield* Clock.Clock), {
        currentTimeMillis: Effect.sync(() => ++now)
      })
      const services = yield* Layer.build(
        Layer.mergeAll(SearchIndexer.layer, Topics.layer).pipe(
          Layer.provideMerge(Layer.mergeAll(EventLog.layer, Ids.layer)),
          Layer.provideMerge(emptyDatabase)
        )
      ).pipe(Effect.provideService(Clock.Clock, clock))
      const sql = Context.get(services, SqlClient.SqlClient)
      const indexed = Effect.map(sql`SELECT number FROM search_documents`, ({ length }) => length)
      const topics = Context.get(services, Topics)
      const { channel } = yield* topics.createChannel("general", undefined)
      const { topic } = yield* topics.create(channel.id, "first")
      yield* insertMessages(services, { channel: channel.id, topic: topic.id }, 1_000, (n) => `word${n}`)
      yield* TestClock.adjust("250 millis")
      yield* TestClock.withLive(eventually(Effect.orDie(indexed), (count) => count > 0))
      assert.isBelow(yield* indexed, 1_000)
      yield* Context.get(services, SearchIndexer).catchUp
      assert.strictEqual(yield* indexed, 1_000)
    })
  )

  it.live("answers a search of what every message has by reading a page, not all of them", () =>
    Effect.gen(function* () {
      const read: Array<string> = []
      const record: Statement.Transformer = (statement) =>
        Effect.sync(() => {
          read.push(statement.compile(false)[0])
          return statement
        })
      const hub = yield* startHub().pipe(Effect.provideService(Statement.CurrentTransformer, record))
      const count = 6_000
      yield* insertMessages(
        hub.services,
        yield* makeTopic(hub),
        count,
        (n) => `common ${n % 2 === 0 ? "even" : "odd"} word${n}`
      )
      yield* eventually(search(hub, "common", "&limit=1"), ({ index }: Json) => index.complete)
      const statementsOf = (q: string, more = "") =>
        Effect.gen(function* () {
          read.length = 0
          const { results } = yield* search(hub, q, more)
          const candidates = read.filter((text) => text.includes("AS passes")).length
          return { results: results.length, candidates }
        })
      for (const q of [
        "common",
        "common even",
        '"common odd"',
        "common -odd",
        "wor*",
        "common OR even OR odd"
      ])
        assert.deepStrictEqual(yield* statementsOf(q), { results: 20, candidates: 1 }, q)
      // Filters that few pass look at more, some hundreds at a time.
      const filtered = yield* statementsOf("common", "&sender=nobody")
      assert.strictEqual(filtered.results, 0)
      assert.isAtMost(filtered.candidates, 14)
      assert.deepStrictEqual(yield* statementsOf("even odd"), { results: 0, candidates: 1 })
    })
  )
})
