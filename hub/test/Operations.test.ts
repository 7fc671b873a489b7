/** What operators see and do: jobs, circuits, backfills, and the events that tell of them. */
import { CircuitBreaker, CurrentRunObserver, ExecutionError } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Logger } from "effect"
import { renderRuns } from "../src/cli/render/PluginRuns.ts"
import {
  jobsOf,
  eventually,
  extractorSpec,
  type Json,
  linkifierSpec,
  makeTopic,
  startHub,
  tempWorkspace,
  type TestHub
} from "./testHub.ts"

const contentOf = (input: unknown): string => (input as Json).message.content_raw

const found = (kind: string) => [{ kind, span: { start: 0, end: 1 }, data: {} }]

const failed = (plugin: string) =>
  new ExecutionError({ plugin, cause: { name: "Error", message: "not today" } })

const posts = (hub: TestHub, topic: string, contents: ReadonlyArray<string>) =>
  Effect.forEach(contents, (content_raw) =>
    Effect.map(hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw }), ({ body }) =>
      String(body.message.id)
    )
  )

const eventsOf = (hub: TestHub, name: string) =>
  Effect.map(hub.get("/api/v1/events?limit=1000"), ({ body }) =>
    body.events.filter((event: Json) => event.name === name)
  )

const idle = (hub: TestHub) =>
  eventually(
    hub.rows(`SELECT 1 FROM derivations WHERE state = 'pending' UNION ALL SELECT 1 FROM outbox`),
    (rows) => rows.length === 0
  )

/** A hub whose plugin "moody" fails on texts with "bad" in them for as long as it is to. */
const moodyHub = (options: { readonly failureThreshold?: number } = {}) =>
  Effect.gen(function* () {
    let moody = true
    const hub = yield* startHub({
      plugins: [linkifierSpec("moody"), extractorSpec("calm")],
      breaker: { failureThreshold: 1_000, cooldown: "1 hour", ...options },
      fakes: {
        moody: (input) =>
          Effect.suspend(() =>
            moody && contentOf(input).includes("bad")
              ? Effect.fail(failed("moody"))
              : Effect.succeed(found("mood"))
          ),
        calm: () => Effect.succeed([])
      }
    })
    const { topic, channel } = yield* makeTopic(hub)
    const cheer = (): void => void (moody = false)
    return { hub, topic, channel, cheer }
  })

describe("Jobs", () => {
  it.live("are listed by state and plugin, newest first, page by page", () =>
    Effect.gen(function* () {
      const { hub, topic } = yield* moodyHub()
      const ids = yield* posts(hub, topic, ["good", "bad 1", "bad 2", "bad 3", "good"])
      yield* idle(hub)
      const bad = [ids[3], ids[2], ids[1]]
      const all = yield* hub.get("/api/v1/jobs")
      assert.deepStrictEqual(
        all.body.jobs.map((job: Json) => [job.message_id, job.plugin_name, job.state, job.error.code]),
        bad.map((id) => [id, "moody", "failed", "EXECUTION_ERROR"])
      )
      assert.isNull(all.body.next)
      const seen: Array<string> = []
      let before = ""
      do {
        const { body } = yield* hub.get(`/api/v1/jobs?limit=2${before}`)
        seen.push(...body.jobs.map(({ message_id }: Json) => message_id))
        before = body.next === null ? "" : `&before=${encodeURIComponent(body.next)}`
      } while (before !== "")
      assert.deepStrictEqual(seen, bad)
      const calm = yield* hub.get("/api/v1/jobs?plugin=calm&state=empty&state=failed")
      assert.deepStrictEqual(
        calm.body.jobs.map(({ message_id }: Json) => message_id),
        ids.toReversed()
      )
      assert.strictEqual((yield* hub.get("/api/v1/jobs?state=sad")).status, 400)
    })
  )

  it.live("that are open are listed also when their plugin is no longer configured", () =>
    Effect.gen(function* () {
      const { hub, topic } = yield* moodyHub()
      const [id = ""] = yield* posts(hub, topic, ["good"])
      yield* idle(hub)
      yield* hub.rows(`UPDATE derivations SET plugin_name = 'removed', state = 'pending', ended_at = NULL
        WHERE plugin_name = 'calm'`)
      const { body } = yield* hub.get("/api/v1/jobs")
      assert.deepStrictEqual(
        body.jobs.map((job: Json) => [job.message_id, job.plugin_name, job.state]),
        [[id, "removed", "pending"]]
      )
    })
  )

  it.live("that failed are done again when an operator says so, those of old contents are not", () =>
    Effect.gen(function* () {
      const { hub, topic, cheer } = yield* moodyHub()
      const [one = "", two = "", edited = "", deleted = ""] = yield* posts(hub, topic, [
        "bad 1",
        "bad 2",
        "bad 3",
        "bad 4"
      ])
      yield* idle(hub)
      yield* hub.patch(`/api/v1/messages/${edited}`, { op: "edit", content_raw: "bad 5" })
      yield* hub.patch(`/api/v1/messages/${deleted}`, { op: "delete", actor: "ada" })
      yield* idle(hub)
      cheer()
      const some = yield* hub.post("/api/v1/jobs/retry", { message_id: one })
      assert.deepStrictEqual(some.body, { retried: 1, more: false })
      assert.deepInclude((yield* jobsOf(hub, one))[1], {
        plugin_name: "moody",
        state: "committed",
        error: null
      })
      assert.deepStrictEqual((yield* hub.post("/api/v1/jobs/retry", { plugin: "calm" })).body, {
        retried: 0,
        more: false
      })
      assert.deepStrictEqual((yield* hub.post("/api/v1/jobs/retry", {})).body, { retried: 2, more: false })
      yield* idle(hub)
      const { body } = yield* hub.get("/api/v1/jobs")
      assert.deepStrictEqual(
        body.jobs.map((job: Json) => [job.message_id, job.content_version]),
        [
          [deleted, 1],
          [edited, 1]
        ]
      )
      for (const id of [one, two, edited]) {
        const { body } = yield* hub.get(`/api/v1/messages/${id}/enrichments`)
        assert.lengthOf(body.enrichments, 1)
      }
      assert.strictEqual((yield* hub.post("/api/v1/jobs/retry", {}, { token: null })).status, 401)
    })
  )
})

describe("Events for operators", () => {
  it.live("tell of jobs that failed and of those that came too late, where their message is", () =>
    Effect.gen(function* () {
      const { hub, topic, channel } = yield* moodyHub()
      const [bad] = yield* posts(hub, topic, ["bad"])
      yield* idle(hub)
      const [event, ...more] = yield* eventsOf(hub, "plugin.failed")
      assert.lengthOf(more, 0)
      assert.deepInclude(event, {
        scope: { channel_id: channel, topic_id: topic, topic_id2: null },
        entity: { type: "message", id: bad }
      })
      assert.deepInclude(event.data_json, { message_id: bad, plugin_name: "moody", code: "EXECUTION_ERROR" })
      assert.include(event.data_json.message, "not today")
      assert.lengthOf(yield* eventsOf(hub, "plugin.stale"), 0)
    })
  )

  it.live("tell of what was found for a content that is gone", () =>
    Effect.gen(function* () {
      let release: (() => void) | undefined
      const hub = yield* startHub({
        plugins: [linkifierSpec("slow")],
        fakes: {
          slow: () =>
            Effect.callback<ReturnType<typeof found>>((resume) => {
              release = () => resume(Effect.succeed(found("late")))
            })
        }
      })
      const { topic } = yield* makeTopic(hub)
      const [id = ""] = yield* posts(hub, topic, ["first"])
      const finish = yield* eventually(
        Effect.sync(() => release),
        (begun) => begun !== undefined
      )
      yield* hub.patch(`/api/v1/messages/${id}`, { op: "delete", actor: "ada" })
      finish?.()
      yield* eventually(eventsOf(hub, "plugin.stale"), (events) => events.length === 1)
      assert.lengthOf(yield* eventsOf(hub, "message.enriched"), 0)
    })
  )

  it.live("tell when a circuit opens and closes, once each, to those who follow everything", () =>
    Effect.gen(function* () {
      const { hub, topic } = yield* moodyHub({ failureThreshold: 2 })
      yield* posts(hub, topic, ["bad 1", "bad 2", "bad 3"])
      const [opened] = yield* eventually(
        eventsOf(hub, "plugin.circuit_opened"),
        (events) => events.length > 0
      )
      assert.deepInclude(opened, {
        scope: { channel_id: null, topic_id: null, topic_id2: null },
        entity: { type: "plugin", id: "moody" }
      })
      assert.deepInclude(opened.data_json, { plugin_name: "moody", failures: 2 })
      assert.isAbove(opened.data_json.retry_after_ms, 3_500_000)
      const waiting = yield* eventually(
        hub.get("/api/v1/jobs?state=waiting"),
        ({ body }) => body.jobs.length > 0
      )
      for (const { error } of waiting.body.jobs) assert.strictEqual(error.code, "CIRCUIT_OPEN")
      const reset = yield* hub.post("/api/v1/plugins/moody/reset", undefined)
      assert.strictEqual(reset.body.plugin.circuit.state, "closed")
      yield* eventually(eventsOf(hub, "plugin.circuit_closed"), (events) => events.length === 1)
      const filtered = yield* hub.get(`/api/v1/events?limit=1000&topic_id=${topic}`)
      assert.notInclude(
        filtered.body.events.map(({ name }: Json) => name),
        "plugin.circuit_opened"
      )
    })
  )

  it.live("a circuit is opened by an operator, who must have the token and name a plugin", () =>
    Effect.gen(function* () {
      const { hub } = yield* moodyHub()
      const tripped = yield* hub.post("/api/v1/plugins/moody/trip", undefined)
      assert.strictEqual(tripped.body.plugin.circuit.state, "open")
      assert.strictEqual((yield* hub.post("/api/v1/plugins/nobody/trip", undefined)).status, 404)
      assert.strictEqual(
        (yield* hub.post("/api/v1/plugins/moody/reset", undefined, { token: null })).status,
        401
      )
      const states = yield* Context.get(hub.services, CircuitBreaker).states
      assert.strictEqual(states.get("moody")?._tag, "Open")
    })
  )

  it.live("a circuit is opened and closed, and its plugin shown, while the database fails", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const hub = yield* startHub({
        plugins: [linkifierSpec("moody"), linkifierSpec("idle")],
        fakes: {
          moody: () =>
            Effect.flatMap(CurrentRunObserver, (observer) => {
              observer?.log("Info", "it is moody")
              return Effect.fail(failed("moody"))
            }),
          idle: () => Effect.succeed([])
        }
      }).pipe(Effect.provide(Logger.layer([logger])))
      const { topic } = yield* makeTopic(hub)
      // A paused plugin has no runs.
      yield* hub.post("/api/v1/plugins/idle/trip", undefined)
      yield* posts(hub, topic, ["A"])
      const shown = (plugin: string) =>
        Effect.map(hub.get(`/api/v1/plugins/${plugin}`), ({ status, body }) => {
          assert.strictEqual(status, 200)
          return body.plugin
        })
      const show = shown("moody")
      const runs = Effect.map(hub.get("/api/v1/plugins/moody/runs"), ({ status, body }) => {
        assert.strictEqual(status, 200)
        return body.runs
      })
      yield* eventually(show, ({ last_errors }) => last_errors.length === 1)

      yield* hub.rows("ALTER TABLE messages RENAME TO messages_away")
      const tripped = yield* hub.post("/api/v1/plugins/moody/trip", undefined)
      assert.strictEqual(tripped.body.plugin.circuit.state, "open")
      assert.deepStrictEqual((yield* show).last_errors, [])
      // It needs no answer of the database, so it says nothing about it.
      assert.deepStrictEqual((yield* shown("idle")).last_errors, [])
      assert.deepStrictEqual((yield* show).last_errors, [])
      // Whether its message is deleted is not known, so nothing may quote it.
      const [withheld, ...others] = yield* runs
      assert.lengthOf(others, 0)
      assert.deepInclude(withheld, { outcome: "execution_error", logs: [], logs_left_out: 1 })
      assert.deepInclude(withheld.error, { code: "EXECUTION_ERROR", stack: [] })
      assert.include(withheld.error.message, "not shown")
      assert.include(renderRuns([withheld]), "  Lines not shown: 1")
      const reset = yield* hub.post("/api/v1/plugins/moody/reset", undefined)
      assert.strictEqual(reset.body.plugin.circuit.state, "closed")
      assert.strictEqual((yield* hub.post("/api/v1/plugins/nobody/trip", undefined)).status, 404)
      assert.strictEqual((yield* hub.get("/api/v1/plugins/nobody")).status, 404)
      assert.strictEqual((yield* hub.get("/api/v1/plugins/nobody/runs")).status, 404)

      yield* hub.rows("ALTER TABLE messages_away RENAME TO messages")
      assert.lengthOf((yield* show).last_errors, 1)
      const [told] = yield* runs
      assert.deepStrictEqual(
        told.logs.map(({ text }: Json) => text),
        ["it is moody"]
      )
      assert.notInclude(told.error.message, "not shown")
      const about = lines.filter((line) => line.startsWith("what plugins logged and why they failed"))
      assert.lengthOf(about, 2)
      assert.include(about[0], "is not shown")
      assert.include(about[1], "is shown again")
    })
  )
})

describe("A backfill", () => {
  const done = (hub: TestHub, id: string) =>
    eventually(
      Effect.map(hub.get(`/api/v1/backfills/${id}`), ({ body }) => body.backfill),
      ({ state }) => state === "done"
    )

  it.live(
    "asks a new plugin about all messages that are left, once about each",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const count = 200
        yield* Effect.scoped(
          Effect.gen(function* () {
            const hub = yield* startHub({ workspace })
            const { topic } = yield* makeTopic(hub)
            const ids = yield* posts(
              hub,
              topic,
              Array.from({ length: count }, (_, n) => `message ${n}`)
            )
            yield* hub.patch(`/api/v1/messages/${ids[0]}`, { op: "delete", actor: "ada" })
            for (let n = 0; n < 3; n++) {
              yield* hub.patch(`/api/v1/messages/${ids[1]}`, { op: "edit", content_raw: `edited ${n}` })
            }
          })
        )
        const asked: Array<string> = []
        const hub = yield* startHub({
          workspace,
          plugins: [linkifierSpec("new")],
          fakes: { new: (input) => Effect.sync(() => (asked.push(contentOf(input)), found("new"))) }
        })
        const begun = yield* hub.post("/api/v1/backfills", { plugin: "new" })
        assert.strictEqual(begun.status, 201)
        const { total, done: looked, jobs } = yield* done(hub, begun.body.backfill.id)
        assert.strictEqual(total, looked)
        assert.strictEqual(jobs, count - 1)
        const expected = ["edited 2", ...Array.from({ length: count - 2 }, (_, n) => `message ${n + 2}`)]
        assert.sameMembers(asked, expected)
        assert.lengthOf(yield* hub.rows("SELECT id FROM enrichments"), count - 1)
        // Again: what was found before is replaced.
        const again = yield* hub.post("/api/v1/backfills", {})
        yield* done(hub, again.body.backfill.id)
        assert.lengthOf(asked, 2 * (count - 1))
        assert.lengthOf(yield* hub.rows("SELECT id FROM enrichments"), count - 1)
      }),
    60_000
  )

  it.live("of what came after an event leaves the rest alone", () =>
    Effect.gen(function* () {
      const { hub, topic } = yield* moodyHub()
      yield* posts(hub, topic, ["one", "two"])
      yield* idle(hub)
      const { body } = yield* hub.get("/api/v1/events?tail=1")
      yield* posts(hub, topic, ["three"])
      yield* idle(hub)
      const begun = yield* hub.post("/api/v1/backfills", { plugin: "moody", since_event: body.replay_until })
      assert.strictEqual((yield* done(hub, begun.body.backfill.id)).jobs, 1)
      const none = yield* hub.post("/api/v1/backfills", { since_event: 1_000_000 })
      assert.deepInclude(yield* done(hub, none.body.backfill.id), { total: 0, jobs: 0 })
    })
  )

  it.live(
    "that is paused stays paused over a restart, and goes on where it was",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const plugins = [linkifierSpec("stuck")]
        const first = yield* Effect.scoped(
          Effect.gen(function* () {
            const hub = yield* startHub({ workspace, plugins, fakes: { stuck: () => Effect.succeed([]) } })
            const { topic } = yield* makeTopic(hub)
            yield* posts(
              hub,
              topic,
              Array.from({ length: 200 }, (_, n) => `message ${n}`)
            )
            yield* idle(hub)
            return hub
          })
        )
        assert.strictEqual(first.workspace, workspace)
        const id = yield* Effect.scoped(
          Effect.gen(function* () {
            const hub = yield* startHub({ workspace, plugins, fakes: { stuck: () => Effect.never } })
            const { body } = yield* hub.post("/api/v1/backfills", { plugin: "stuck" })
            // Enough jobs are open: it does not give out more of them.
            const { jobs } = yield* eventually(
              Effect.map(hub.get(`/api/v1/backfills/${body.backfill.id}`), ({ body }) => body.backfill),
              ({ jobs }) => jobs >= 64
            )
            yield* Effect.sleep(300)
            const later = yield* hub.get(`/api/v1/backfills/${body.backfill.id}`)
            assert.isBelow(later.body.backfill.jobs, 200)
            assert.isAtMost(jobs, later.body.backfill.jobs)
            const paused = yield* hub.post(`/api/v1/backfills/${body.backfill.id}/pause`, undefined)
            assert.strictEqual(paused.body.backfill.state, "paused")
            return String(body.backfill.id)
          })
        )
        let runs = 0
        const hub = yield* startHub({
          workspace,
          plugins,
          fakes: { stuck: () => Effect.sync(() => void runs++).pipe(Effect.as([])) }
        })
        yield* idle(hub)
        assert.isBelow(runs, 200)
        assert.strictEqual((yield* hub.get(`/api/v1/backfills/${id}`)).body.backfill.state, "paused")
        const resumed = yield* hub.post("/api/v1/backfills", { plugin: "stuck" })
        assert.strictEqual(resumed.status, 200)
        assert.deepInclude(resumed.body.backfill, { id, state: "running" })
        assert.strictEqual((yield* done(hub, id)).jobs, 200)
        assert.strictEqual(runs, 200)
        assert.lengthOf((yield* hub.get("/api/v1/backfills")).body.backfills, 1)
      }),
    60_000
  )

  it.live("is refused for a plugin that there is not, and to who has no token", () =>
    Effect.gen(function* () {
      const { hub } = yield* moodyHub()
      const unknown = yield* hub.post("/api/v1/backfills", { plugin: "nobody" })
      assert.strictEqual(unknown.status, 404)
      assert.include(unknown.body.error, "nobody")
      assert.strictEqual((yield* hub.post("/api/v1/backfills", {}, { token: null })).status, 401)
      assert.strictEqual((yield* hub.get("/api/v1/backfills/none")).status, 404)
      assert.strictEqual((yield* hub.post("/api/v1/backfills/none/pause", undefined)).status, 404)
    })
  )
})
