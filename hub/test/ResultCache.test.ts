/** The result cache in a database: what outlives the hub, what goes, and what a broken database does. */
import { linkifier, makeSpec, PluginStats, ResultCache } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Layer, Logger } from "effect"
import { SqlClient } from "effect/sql"
import { dialects } from "../../test/support/postgres.ts"
import { fileURLToPath } from "node:url"
import * as Hub from "../src/Hub.ts"
import * as ResultCacheStore from "../src/jobs/ResultCacheStore.ts"
import { onPostgres } from "./testDatabase.ts"
import { client, jobsOf, eventually, type Json, makeTopic, readServerFile, tempWorkspace } from "./testHub.ts"

const open = (sql: SqlClient.SqlClient, options: ResultCacheStore.StoreOptions = {}) =>
  Effect.map(
    Layer.build(
      Layer.fresh(ResultCacheStore.layer(options)).pipe(
        Layer.provide(Layer.succeed(SqlClient.SqlClient, sql))
      )
    ),
    Context.get(ResultCache)
  )

// It is on SQLite, whatever the stores below are on.
describe.skipIf(onPostgres)("A hub", () => {
  it.live("answers a text that was posted before from its database, also after a restart", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const versions: Array<unknown> = []
      const spec = makeSpec({
        name: "shouts",
        kind: linkifier,
        modulePath: fileURLToPath(new URL("./fixtures/shouts.ts", import.meta.url)),
        timeout: 20_000,
        cache: true
      })
      const hub = (posts: number) =>
        Effect.gen(function* () {
          const services = yield* Layer.build(Hub.live({ workspace, plugins: [spec] }))
          const { host, port, auth_token: token } = readServerFile(workspace)
          const http = client(`http://${host}:${port}`, token)
          const { topic } = yield* makeTopic(http, `channel-${posts}`)
          for (let n = 0; n < posts; n++) {
            const { body } = yield* http.post("/api/v1/messages", {
              topic_id: topic,
              sender: "ada",
              content_raw: "HELLO world"
            })
            const [job] = yield* jobsOf(http, body.message.id)
            assert.strictEqual(job.state, "committed")
            const found = yield* http.get(`/api/v1/messages/${body.message.id}/enrichments`)
            versions.push(...found.body.enrichments.map((one: Json) => one.plugin_version))
          }
          const { cacheHits, cacheMisses } = yield* Context.get(services, PluginStats).of("shouts")
          return { cacheHits, cacheMisses }
        }).pipe(Effect.scoped)
      assert.deepStrictEqual(yield* hub(3), { cacheHits: 2, cacheMisses: 1 })
      assert.deepStrictEqual(yield* hub(1), { cacheHits: 1, cacheMisses: 0 })
      // A cached finding has the version that made it.
      assert.deepStrictEqual(versions, ["1.0.0", "1.0.0", "1.0.0", "1.0.0"])
    })
  )
})

for (const { name, available, database } of dialects) {
  describe.skipIf(!available)(`ResultCacheStore on ${name}`, () => {
    it.live("what was written is there for the next hub", () =>
      Effect.gen(function* () {
        const sql = yield* (yield* database).connect
        yield* Effect.scoped(
          Effect.gen(function* () {
            const cache = yield* open(sql)
            yield* cache.set("a", "p", "[1]")
            yield* cache.set("a", "p", "[2]")
            assert.strictEqual(yield* cache.get("a"), "[2]")
          })
        )
        const cache = yield* open(sql)
        assert.strictEqual(yield* cache.get("a"), "[2]")
        assert.isUndefined(yield* cache.get("b"))
        const { entries, bytes } = yield* cache.stats
        assert.deepStrictEqual([entries, bytes], [1, 3])
      })
    )

    it.live("is bounded by entries and by bytes", () =>
      Effect.gen(function* () {
        const sql = yield* (yield* database).connect
        for (const stored of [{ entries: 50 }, { bytes: 500 }]) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const cache = yield* open(sql, { stored })
              for (let i = 0; i < 250; i++) yield* cache.set(`k${i}`, "p", "0123456789")
            })
          )
          const [row] = yield* sql<{ n: number | string }>`SELECT count(*) AS n FROM plugin_results`
          assert.isAtMost(Number(row?.n), 50)
        }
      })
    )

    it.live("a database that fails makes misses", () =>
      Effect.gen(function* () {
        const sql = yield* (yield* database).connect
        const cache = yield* open(sql, { flushEvery: 5 })
        yield* sql`DROP TABLE plugin_results`
        assert.isUndefined(yield* cache.get("a"))
        yield* cache.set("a", "p", "[]")
        assert.strictEqual(yield* cache.get("a"), "[]")
      })
    )

    it.live("what could not be written is written by a later flush", () =>
      Effect.gen(function* () {
        const sql = yield* (yield* database).connect
        const failed = yield* Deferred.make<void>()
        const logger = Logger.make(() => void Deferred.doneUnsafe(failed, Effect.void))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const cache = yield* open(sql, { flushEvery: 5 })
            yield* sql`ALTER TABLE plugin_results RENAME TO elsewhere`
            yield* cache.set("a", "p", "[1]")
            yield* Deferred.await(failed)
            yield* sql`ALTER TABLE elsewhere RENAME TO plugin_results`
          })
        ).pipe(Effect.provide(Logger.layer([logger])))
        const cache = yield* open(sql)
        assert.strictEqual(yield* cache.get("a"), "[1]")
      })
    )

    it.live("rows that could not be counted at the start are counted by a later flush", () =>
      Effect.gen(function* () {
        const sql = yield* (yield* database).connect
        yield* Effect.scoped(Effect.flatMap(open(sql), (cache) => cache.set("a", "p", "[1]")))
        yield* sql`ALTER TABLE plugin_results RENAME TO elsewhere`
        yield* sql`CREATE TABLE plugin_results (other INTEGER)`
        const cache = yield* open(sql, { flushEvery: 5 })
        assert.strictEqual((yield* cache.stats).entries, 0)
        yield* sql`DROP TABLE plugin_results`
        yield* sql`ALTER TABLE elsewhere RENAME TO plugin_results`
        yield* cache.set("b", "p", "[2]")
        const { entries } = yield* eventually(cache.stats, ({ entries }) => entries === 2)
        assert.strictEqual(entries, 2)
      })
    )

    it.live(
      "a text that PostgreSQL cannot hold is in memory alone, and keeps no other from being written",
      () =>
        Effect.gen(function* () {
          const sql = yield* (yield* database).connect
          yield* Effect.scoped(
            Effect.gen(function* () {
              const cache = yield* open(sql)
              yield* cache.set("nul", "p", "\0")
              yield* cache.set("escaped", "p", JSON.stringify("\0"))
              assert.strictEqual(yield* cache.get("nul"), "\0")
            })
          )
          const cache = yield* open(sql)
          assert.isUndefined(yield* cache.get("nul"))
          assert.strictEqual(yield* cache.get("escaped"), JSON.stringify("\0"))
        })
    )
  })
}
