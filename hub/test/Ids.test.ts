/** Ids when the clock is set back: they sort in creation order all the same. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { TestClock } from "effect/testing"
import * as path from "node:path"
import { Findings } from "../src/jobs/Findings.ts"
import { draftEnrichment } from "../src/jobs/findings/drafts.ts"
import * as Database from "../src/database/Database.ts"
import * as Migrations from "../src/database/Migrations.ts"
import * as Sqlite from "../src/database/Sqlite.ts"
import { EventLog } from "../src/core/EventLog.ts"
import { Ids } from "../src/core/Ids.ts"
import { Messages } from "../src/messages/Messages.ts"
import { Erasures } from "../src/retention/Erasures.ts"
import { JobQueue } from "../src/jobs/JobQueue.ts"
import { Specs } from "../src/plugins/Specs.ts"
import { Topics } from "../src/messages/Topics.ts"
import { eventually, linkifierSpec, makeTopic as postTopic, startHub, tempWorkspace } from "./testHub.ts"

const noon = Date.parse("2026-06-01T12:00:00.000Z")
const morning = Date.parse("2026-06-01T06:00:00.000Z")

/** The hub's services on a file, as another start of the hub would have them. */
const start = (folder: string) =>
  Layer.build(
    Messages.layer.pipe(
      Layer.provide(Erasures.layer),
      Layer.provideMerge(Topics.layer),
      Layer.provideMerge(Layer.mergeAll(Findings.layer, JobQueue.layer.pipe(Layer.provide(Specs.layer([]))))),
      Layer.provideMerge(Layer.mergeAll(Ids.layer, EventLog.layer)),
      Layer.provideMerge(Database.sqlite(path.join(folder, "db.sqlite3")))
    )
  )

const makeTopic = Effect.fnUntraced(function* (services: Context.Context<Topics>) {
  const topics = Context.get(services, Topics)
  const { channel } = yield* topics.createChannel("general", undefined)
  const { topic } = yield* topics.create(channel.id, "first")
  return { channel, topic }
})

const makeOther = (services: Context.Context<Topics>, name = "other") =>
  Context.get(services, Topics).createChannel(name, undefined)

describe("Ids, when the clock is set back", () => {
  it.effect("go on from the newest, in one process", () =>
    Effect.gen(function* () {
      const services = yield* start(yield* tempWorkspace)
      yield* TestClock.setTime(noon)
      const { topic } = yield* makeTopic(services)
      const messages = Context.get(services, Messages)
      const ids: Array<string> = []
      const times: Array<string> = []
      for (const time of [noon, morning, morning + 1, noon - 1, noon + 1]) {
        yield* TestClock.setTime(time)
        const { message } = yield* messages.create({ topic_id: topic.id, sender: "a", content_raw: "x" })
        ids.push(message.id)
        times.push(message.created_at)
      }
      assert.deepStrictEqual(ids.toSorted(), ids)
      assert.strictEqual(new Set(ids).size, 5)
      // Times are what the clock says, and events come in the order of their numbers.
      assert.strictEqual(times[1], "2026-06-01T06:00:00.000Z")
      const all = { after: 0, limit: 100, channels: [], topics: [] }
      const { events } = yield* Context.get(services, EventLog).list(all)
      const created = events.filter(({ name }) => name === "message.created")
      assert.deepStrictEqual(
        created.map(({ entity_id }) => entity_id),
        ids
      )
      assert.deepStrictEqual(
        created.map(({ ts }) => ts),
        times
      )
    })
  )

  it.effect("go on from the newest of an earlier start, also of rows that are gone", () =>
    Effect.gen(function* () {
      const folder = yield* tempWorkspace
      yield* TestClock.setTime(noon)
      const { gone, message, topic } = yield* Effect.scoped(
        Effect.gen(function* () {
          const services = yield* start(folder)
          const { topic, channel } = yield* makeTopic(services)
          const messages = Context.get(services, Messages)
          const { message } = yield* messages.create({ topic_id: topic.id, sender: "a", content_raw: "x" })
          const found = draftEnrichment({ kind: "k", span: { start: 0, end: 1 }, data: {} })
          const place = { message_id: message.id, topic_id: topic.id, channel_id: channel.id }
          yield* Context.get(services, Findings).enrich(
            [{ place, plugin: "p", found: [found] }],
            message.created_at
          )
          const [row] = yield* Context.get(services, SqlClient.SqlClient)<{ id: string }>`
            SELECT id FROM enrichments`
          yield* messages.remove(message.id, "a")
          return { gone: row?.id ?? "", message, topic }
        })
      )
      assert.isAbove(gone.localeCompare(message.id), 0)
      yield* TestClock.setTime(morning)
      const services = yield* start(folder)
      const next = yield* Context.get(services, Messages).create({
        topic_id: topic.id,
        sender: "a",
        content_raw: "y"
      })
      assert.isTrue(next.message.id > gone, `${next.message.id} > ${gone}`)
      assert.strictEqual(next.message.created_at, "2026-06-01T06:00:00.000Z")
    })
  )

  it.live("go on after a restart of a hub whose last events are of a plugin's circuit", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const options = {
        workspace,
        plugins: [linkifierSpec("links")],
        fakes: { links: () => Effect.succeed([]) }
      }
      const scope = yield* Scope.make()
      const before = yield* startHub(options).pipe(Scope.provide(scope))
      const { topic } = yield* postTopic(before)
      yield* before.post("/api/v1/plugins/links/trip", undefined)
      yield* eventually(
        before.rows("SELECT 1 FROM events WHERE name = 'plugin.circuit_opened'"),
        (rows) => rows.length === 1
      )
      yield* Scope.close(scope, Exit.void)

      const hub = yield* startHub(options)
      const posted = yield* hub.post("/api/v1/messages", {
        topic_id: topic,
        sender: "ana",
        content_raw: "hi"
      })
      assert.strictEqual(posted.status, 201)
      assert.isAbove(posted.body.message.id.localeCompare(topic), 0)
    })
  )

  it.effect("use no id again after a rollback and a restart", () =>
    Effect.gen(function* () {
      const folder = yield* tempWorkspace
      yield* TestClock.setTime(noon)
      const used = yield* Effect.scoped(
        Effect.gen(function* () {
          const services = yield* start(folder)
          const sql = Context.get(services, SqlClient.SqlClient)
          const ids = Context.get(services, Ids)
          yield* Effect.exit(sql.withTransaction(Effect.andThen(ids.next, Effect.fail("no"))))
          const { topic } = yield* makeTopic(services)
          yield* Effect.exit(sql.withTransaction(Effect.andThen(ids.next, Effect.fail("no"))))
          return topic.id
        })
      )
      yield* TestClock.setTime(morning)
      const { channel } = yield* makeOther(yield* start(folder))
      assert.isTrue(channel.id > used, `${channel.id} > ${used}`)
    })
  )

  it.effect("do not run ahead of the clock, however often the hub starts", () =>
    Effect.gen(function* () {
      const folder = yield* tempWorkspace
      yield* TestClock.setTime(noon)
      let last = ""
      for (let at = 0; at < 20; at++) {
        const id = yield* Effect.scoped(
          Effect.flatMap(start(folder), (services) => makeOther(services, `channel ${at}`))
        ).pipe(Effect.map(({ channel }) => channel.id))
        assert.isTrue(id > last)
        last = id
      }
      assert.isBelow(Number(BigInt(`0x${last}`) >> 20n), noon + 11_000)
    })
  )

  it.effect("write to the database only now and then", () =>
    Effect.gen(function* () {
      const marks: Array<string> = []
      const record: Statement.Transformer = (statement) =>
        Effect.sync(() => {
          const [text] = statement.compile(false)
          if (text.includes("last_id")) marks.push(text)
          return statement
        })
      yield* Effect.gen(function* () {
        const services = yield* start(yield* tempWorkspace)
        yield* TestClock.setTime(noon)
        marks.length = 0
        const { topic } = yield* makeTopic(services)
        const messages = Context.get(services, Messages)
        for (let second = 0; second < 20; second++) {
          yield* TestClock.setTime(noon + second * 1_000)
          for (let n = 0; n < 10; n++) {
            yield* messages.create({ topic_id: topic.id, sender: "a", content_raw: "x" })
          }
        }
      }).pipe(Effect.provideService(Statement.CurrentTransformer, record))
      assert.isAbove(marks.length, 0)
      assert.isBelow(marks.length, 5)
    })
  )

  it.effect("of a database of an earlier hub go on after all that it mentions", () =>
    Effect.gen(function* () {
      const highest = "01a22700000000fff"
      const mentions = {
        channel: `INSERT INTO channels VALUES ('${highest}', 'old', NULL, '')`,
        backfill: `INSERT INTO backfills VALUES ('${highest}', NULL, NULL, 'done', 0, 0, 0, 0, '', '')`,
        "event of an entity that is gone": `INSERT INTO events (ts, name, entity_type, entity_id, data_json)
          VALUES ('', 'message.created', 'message', '${highest}', '{}')`,
        "event of a finding that is gone": `INSERT INTO events (ts, name, entity_type, entity_id, data_json)
          VALUES ('', 'message.enriched', 'message', '0', '{"enrichment_ids":["${highest}"]}')`
      }
      for (const [what, statement] of Object.entries(mentions)) {
        const folder = yield* tempWorkspace
        const filename = path.join(folder, "db.sqlite3")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const old = yield* Layer.build(Sqlite.layer({ filename }))
            yield* Migrations.migrateTo(7).pipe(Effect.provideContext(old))
            yield* Context.get(old, SqlClient.SqlClient).unsafe(statement)
          })
        )
        yield* TestClock.setTime(0)
        const { channel } = yield* makeOther(yield* start(folder))
        assert.isTrue(channel.id > highest, `${what}: ${channel.id} > ${highest}`)
      }
    })
  )
})
