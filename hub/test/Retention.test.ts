/** Pruning: what goes, what stays, and what readers are told. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  eventually,
  type Json,
  linkifierSpec,
  makeTopic,
  startHub,
  tempWorkspace,
  type TestHub
} from "./testHub.ts"
import { onPostgres } from "./testDatabase.ts"

const finds = () => Effect.succeed([{ kind: "x", span: { start: 0, end: 1 }, data: {} }])

const hubWithPlugin = startHub({ plugins: [linkifierSpec("finds")], fakes: { finds } })

const postAll = Effect.fnUntraced(function* (hub: TestHub, topic: string, count: number) {
  const ids: Array<string> = []
  for (let n = 0; n < count; n++) {
    const body = { topic_id: topic, sender: "ada", content_raw: `message ${n}` }
    ids.push((yield* hub.post("/api/v1/messages", body)).body.message.id)
  }
  return ids
})

const noOpenJobs = (hub: TestHub, jobs: number) =>
  eventually(
    hub.rows("SELECT state FROM derivations"),
    (rows) => rows.length === jobs && rows.every(({ state }) => state !== "pending")
  )

/** Prunes to the end, and answers what became of it. */
const prune = Effect.fnUntraced(function* (hub: TestHub, body: Json) {
  const begun = yield* hub.post("/api/v1/prune", body)
  assert.strictEqual(begun.status, 200, JSON.stringify(begun.body))
  return yield* eventually(
    Effect.map(hub.get("/api/v1/prune"), ({ body }) => body.prune as Json),
    ({ ended_at }) => ended_at !== null
  )
})

const events = (hub: TestHub, query: string) =>
  Effect.map(hub.get(`/api/v1/events?${query}`), ({ body }) => body as Json)

const later = () => new Date(Date.now() + 3_600_000).toISOString()

/** The first live events after a number. */
const follow = (hub: TestHub, after: number, count: number, query = "") =>
  Effect.promise(async () => {
    const stop = new AbortController()
    const response = await fetch(`${hub.url}/api/v1/events/stream?after=${after}${query}`, {
      signal: stop.signal
    })
    const found: Array<Json> = []
    let text = ""
    for await (const chunk of response.body ?? []) {
      text += new TextDecoder().decode(chunk)
      const data = text.match(/^data: .*$(?=\n)/gm) ?? []
      found.splice(0, found.length, ...data.map((line) => JSON.parse(line.slice(6))))
      if (found.length >= count) break
    }
    stop.abort()
    return found
  })

describe("A prune", () => {
  it.live("removes the oldest events, tells readers that miss them, and numbers go on", () =>
    Effect.gen(function* () {
      const hub = yield* hubWithPlugin
      const { topic, channel } = yield* makeTopic(hub)
      yield* postAll(hub, topic, 20)
      yield* noOpenJobs(hub, 20)
      const before = yield* events(hub, "limit=1000")
      assert.notProperty(before, "pruned_until")
      const newest = before.replay_until

      const dry = yield* prune(hub, { keep_events: 5, dry_run: true })
      assert.deepInclude(dry, { state: "done", dry_run: true, pruned_until: 0 })
      assert.deepInclude(dry.total, { events: newest - 5, jobs: 0 })
      assert.deepStrictEqual(dry.removed, { events: 0, jobs: 0, results: 0, backfills: 0 })
      assert.deepStrictEqual(yield* events(hub, "limit=1000"), before)

      const done = yield* prune(hub, { keep_events: 5 })
      assert.deepInclude(done, { state: "done", pruned_until: newest - 5 })
      assert.deepStrictEqual(done.removed, dry.total)
      const page = yield* events(hub, "after=0&limit=1000")
      assert.deepInclude(page, { replay_until: newest, pruned_until: newest - 5 })
      assert.deepStrictEqual(page.events, before.events.slice(-5))
      // Messages, findings and jobs are still there.
      const { body } = yield* hub.get(`/api/v1/messages?topic_id=${topic}&limit=100`)
      assert.lengthOf(body.messages, 20)
      assert.lengthOf(yield* hub.rows("SELECT id FROM enrichments"), 20)
      assert.lengthOf(yield* hub.rows("SELECT state FROM derivations"), 20)

      const marker = {
        type: "event",
        name: "events.pruned",
        event_id: newest - 5,
        data: { after: 3, pruned_until: newest - 5 }
      }
      for (const query of ["", `&topic_id=${topic}`, `&channel_id=${channel}`]) {
        const found = yield* follow(hub, 3, 6, query)
        assert.deepInclude(found[0], marker)
        assert.deepStrictEqual(
          found.slice(0, 6).map(({ event_id }) => event_id),
          [-5, -4, -3, -2, -1, 0].map((n) => newest + n)
        )
      }
      // Whoever has read them misses nothing.
      assert.strictEqual((yield* follow(hub, newest - 5, 1))[0].event_id, newest - 4)

      yield* prune(hub, { keep_events: 0 })
      const empty = yield* events(hub, "after=0")
      assert.deepInclude(empty, { events: [], replay_until: newest, pruned_until: newest, has_more: false })
      assert.deepInclude(yield* events(hub, "tail=1"), { events: [], replay_until: newest })
      yield* postAll(hub, topic, 1)
      const found = yield* follow(hub, 0, 2)
      assert.deepStrictEqual(
        found.slice(0, 2).map(({ name, event_id }) => ({ name, event_id })),
        [
          { name: "events.pruned", event_id: newest },
          { name: "message.created", event_id: newest + 1 }
        ]
      )
    })
  )

  it.live("removes ended jobs and finished backfills by age, and backfills still meet every message", () =>
    Effect.gen(function* () {
      const hub = yield* hubWithPlugin
      const { topic } = yield* makeTopic(hub)
      const ids = yield* postAll(hub, topic, 3)
      yield* noOpenJobs(hub, 3)
      const finished = (begun: Json) =>
        eventually(
          hub.get(`/api/v1/backfills/${begun.body.backfill.id}`),
          ({ body }) => body.backfill.state === "done"
        )
      yield* finished(yield* hub.post("/api/v1/backfills", {}))
      const newest = (yield* events(hub, "tail=1")).replay_until
      const nothing = yield* prune(hub, { before: "2000-01-01T00:00:00Z" })
      assert.deepStrictEqual(nothing.removed, { events: 0, jobs: 0, results: 0, backfills: 0 })
      const done = yield* prune(hub, { before: later(), keep_events: 2 })
      assert.deepStrictEqual(done.removed, { events: newest - 2, jobs: 3, results: 0, backfills: 1 })
      assert.deepStrictEqual(yield* hub.rows("SELECT state FROM derivations"), [])

      const refused = yield* hub.post("/api/v1/backfills", { since_event: 1 })
      assert.strictEqual(refused.status, 400)
      assert.include(refused.body.error, `events up to ${newest - 2} were pruned`)
      const again = yield* hub.post("/api/v1/backfills", {})
      const { body } = yield* finished(again)
      assert.deepInclude(body.backfill, { total: 3, done: 3, jobs: 3 })
      assert.lengthOf(yield* hub.rows("SELECT id FROM enrichments"), ids.length)
    })
  )

  it.live("removes cached outputs that no run has used for as long", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      yield* prune(hub, { before: "2000-01-01T00:00:00Z" })
      const now = Date.now()
      for (const [key, age] of [
        ["old", 20],
        ["new", 5]
      ])
        yield* hub.rows(
          `INSERT INTO plugin_results VALUES ('${key}', 'p', '[]', 2, ${now - Number(age) * 86_400_000})`
        )
      const done = yield* prune(hub, { before: new Date(now - 10 * 86_400_000).toISOString() })
      assert.strictEqual(done.removed.results, 1)
      assert.deepStrictEqual(
        (yield* hub.rows("SELECT key FROM plugin_results")).map(({ key }) => key),
        ["new"]
      )
    })
  )

  it.live("happens by itself if the config says so", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* startHub({ workspace })
          const { topic } = yield* makeTopic(hub)
          yield* postAll(hub, topic, 5)
        })
      )
      const hub = yield* startHub({ workspace, retention: { keepEvents: 2 } })
      const page = yield* eventually(events(hub, "after=0"), ({ pruned_until }) => pruned_until === 5)
      assert.lengthOf(page.events, 2)
    })
  )

  it.live("needs a bound, and refuses what is no time", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      assert.strictEqual((yield* hub.get("/api/v1/prune")).body.prune, null)
      assert.strictEqual((yield* hub.post("/api/v1/prune/stop", {})).body.prune, null)
      for (const body of [
        {},
        { before: "yesterday" },
        { keep_events: -1 },
        { before: "2026-13-40T00:00:00Z" }
      ])
        assert.strictEqual((yield* hub.post("/api/v1/prune", body)).status, 400, JSON.stringify(body))
    })
  )

  it.live("of events is the only way to remove them, from the oldest on", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      yield* makeTopic(hub)
      const attempt = (statement: string) => Effect.exit(hub.rows(statement))
      for (const statement of [
        "DELETE FROM events WHERE event_id = 1",
        "UPDATE events SET data_json = '{}'",
        "UPDATE events SET ts = ''",
        ...(onPostgres ? ["TRUNCATE events"] : [])
      ])
        assert.strictEqual((yield* attempt(statement))._tag, "Failure", statement)
      assert.lengthOf((yield* events(hub, "after=0")).events, 2)
    })
  )
})
