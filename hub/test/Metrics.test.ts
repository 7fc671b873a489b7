import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { onPostgres } from "./testDatabase.ts"
import { eventually, extractorSpec, linkifierSpec, makeTopic, startHub } from "./testHub.ts"

/** The text that a scraper gets, by the series. */
const scraped = (url: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/metrics`)
    const text = await response.text()
    const series = new Map<string, number>()
    for (const line of text.split("\n")) {
      const at = line.lastIndexOf(" ")
      if (line !== "" && !line.startsWith("#")) series.set(line.slice(0, at), Number(line.slice(at + 1)))
    }
    return { status: response.status, type: response.headers.get("content-type"), text, series }
  })

describe("GET /metrics", () => {
  it.live("has what the hub and its plugins did, without a token", () =>
    Effect.gen(function* () {
      const url = { kind: "url", span: { start: 0, end: 1 }, data: {} }
      const hub = yield* startHub({
        plugins: [
          linkifierSpec("links"),
          extractorSpec("tags"),
          linkifierSpec("lies"),
          linkifierSpec("waits")
        ],
        fakes: {
          links: () => Effect.succeed([url, url]),
          tags: () => Effect.succeed([]),
          lies: () => Effect.succeed("no list"),
          waits: () => Effect.never
        },
        breaker: { failureThreshold: 1 }
      })
      const { topic } = yield* makeTopic(hub)
      const message = { topic_id: topic, sender: "a", content_raw: "x" }
      const posted: Array<string> = []
      for (let at = 0; at < 2; at++) {
        posted.push(String((yield* hub.post("/api/v1/messages", message)).body.message.id))
      }
      yield* hub.patch(`/api/v1/messages/${posted[0]}`, { op: "edit", content_raw: "y" })
      yield* hub.patch(`/api/v1/messages/${posted[0]}`, { op: "delete", actor: "a" })
      yield* hub.post("/api/v1/messages", { ...message, topic_id: "nowhere" })
      // Of the first message, what the edit and the deletion overtake is stale or never run; the second's job always is.
      const commits = (series: ReadonlyMap<string, number>, plugin: string, outcome: string) =>
        series.get(`agentlip_commits_total{plugin="${plugin}",outcome="${outcome}"}`) ?? 0
      const rowsOfLinks = (series: ReadonlyMap<string, number>) =>
        series.get('agentlip_derived_rows_total{plugin="links"}')
      const { type, text, series } = yield* eventually(
        scraped(hub.url),
        ({ series }) =>
          series.get('agentlip_breaker_state{plugin="lies"}') === 2 &&
          series.get('agentlip_commits_total{plugin="lies",outcome="failed"}') !== undefined &&
          commits(series, "links", "committed") >= 1 &&
          commits(series, "tags", "empty") >= 1 &&
          // A commit may be counted while the text is written.
          rowsOfLinks(series) === 2 * commits(series, "links", "committed")
      )
      assert.strictEqual(type, "text/plain; version=0.0.4; charset=utf-8")
      const changes = ["create", "edit", "delete"].map((change) =>
        series.get(`agentlip_messages_total{change="${change}"}`)
      )
      assert.deepStrictEqual(changes, [2, 1, 1])
      const runs = (plugin: string, outcome: string) =>
        series.get(
          `agentlip_plugin_runs_total{plugin="${plugin}",kind="linkifier",level="thread",outcome="${outcome}"}`
        )
      assert.strictEqual(runs("lies", "invalid_output"), 1)
      assert.strictEqual(series.get('agentlip_breaker_state{plugin="lies"}'), 2)
      assert.strictEqual(series.get('agentlip_breaker_transitions_total{plugin="lies",to="open"}'), 1)
      // The second message's at least; what the edit and the deletion overtook need not be run.
      assert.isAtLeast(series.get('agentlip_jobs{plugin="waits"}') ?? 0, 1)
      for (const [plugin, outcome] of [
        ["links", "committed"],
        ["tags", "empty"]
      ] as const) {
        assert.isAtMost(commits(series, plugin, outcome) + commits(series, plugin, "stale"), 3)
      }
      assert.strictEqual(commits(series, "lies", "failed"), 1)
      // Every line of the text is one of the format.
      for (const line of text.split("\n")) {
        assert.match(line, /^$|^# (HELP|TYPE) \w+ .+$|^\w+(\{(\w+="[^"]*",?)+\})? [0-9.e+-]+$/)
      }
      // No label says whose message it was.
      for (const id of posted) assert.notInclude(text, id)
    })
  )

  it.live("is there without the database, with what was counted last and a mark that says so", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({
        plugins: [linkifierSpec("waits")],
        fakes: { waits: () => Effect.never }
      })
      const { topic } = yield* makeTopic(hub)
      for (const content_raw of ["a", "b"]) {
        yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw })
      }
      // A scrape does not wait for a slow database, so one alone says little.
      const isUp = ({ series }: { readonly series: ReadonlyMap<string, number> }) =>
        series.get("agentlip_database_up") === 1
      yield* eventually(
        scraped(hub.url),
        (found) => isUp(found) && found.series.get('agentlip_jobs{plugin="waits"}') === 2
      )
      yield* hub.rows("ALTER TABLE derivations RENAME TO gone")
      const without = yield* eventually(scraped(hub.url), (found) => !isUp(found))
      assert.strictEqual(without.status, 200)
      assert.strictEqual(without.series.get("agentlip_database_up"), 0)
      assert.strictEqual(without.series.get('agentlip_jobs{plugin="waits"}'), 2)
      yield* hub.rows("ALTER TABLE gone RENAME TO derivations")
      yield* eventually(scraped(hub.url), isUp)
    })
  )

  it.live("does not wait for a database that does not answer", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const sql = Context.get(hub.services, SqlClient.SqlClient)
      const held = yield* Deferred.make<void>()
      const letGo = yield* Deferred.make<void>()
      // On SQLite a transaction has the one connection; on PostgreSQL nobody waits for it.
      const holding = yield* Effect.forkChild(
        sql.withTransaction(Effect.andThen(Deferred.succeed(held, undefined), Deferred.await(letGo)))
      )
      yield* Deferred.await(held)
      const { status } = yield* eventually(
        scraped(hub.url),
        ({ series }) => series.get("agentlip_database_up") === (onPostgres ? 1 : 0)
      )
      assert.strictEqual(status, 200)
      yield* Deferred.succeed(letGo, undefined)
      yield* Fiber.join(holding)
    })
  )

  it.live(
    "has three hundred plugins and 1,500 open posts, while others post as fast as they can",
    () =>
      Effect.gen(function* () {
        const names = Array.from({ length: 300 }, (_, at) => `plugin${at}`)
        const hub = yield* startHub({
          plugins: names.map((name) => linkifierSpec(name)),
          fakes: Object.fromEntries(names.map((name) => [name, () => Effect.never])),
          concurrency: 1
        })
        const { topic } = yield* makeTopic(hub)
        const post = hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: "x" })
        yield* Effect.forEach(Array.from({ length: 1_500 }), () => post, { concurrency: 16, discard: true })
        const posting = yield* Effect.forkChild(
          Effect.forEach([1, 2, 3, 4], () => Effect.forever(post), { concurrency: 4, discard: true })
        )
        // On a slow machine, a scrape may not wait for the count. That must stay an exception.
        const { series } = yield* Effect.repeat(scraped(hub.url), {
          until: ({ series }) => series.get("agentlip_database_up") === 1,
          times: 4
        })
        yield* Fiber.interrupt(posting)
        assert.strictEqual(series.get("agentlip_database_up"), 1)
        assert.isAtLeast(series.get('agentlip_jobs{plugin="plugin299"}') ?? 0, 1_500)
      }),
    60_000
  )
})
