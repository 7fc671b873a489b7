import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { Committer } from "../src/jobs/Committer.ts"
import { Jobs } from "../src/jobs/Jobs.ts"
import { PausedPlugins } from "../src/jobs/PausedPlugins.ts"
import { Findings } from "../src/jobs/Findings.ts"
import { draftAttachment, draftEnrichment } from "../src/jobs/findings/drafts.ts"
import type { ClaimedJob, Outcome } from "../src/jobs/Job.ts"
import { EventLog } from "../src/core/EventLog.ts"
import { Ids } from "../src/core/Ids.ts"
import { Messages } from "../src/messages/Messages.ts"
import { Erasures } from "../src/retention/Erasures.ts"
import { JobQueue } from "../src/jobs/JobQueue.ts"
import { Specs } from "../src/plugins/Specs.ts"
import { Topics } from "../src/messages/Topics.ts"
import { refusing } from "./testDatabase.ts"
import {
  emptyDatabase,
  eventually,
  extractorSpec,
  type Json,
  linkifierSpec,
  makeTopic,
  startHub
} from "./testHub.ts"

const specs = [linkifierSpec("shouts"), extractorSpec("tags")]

/** The hub's tables and services, with nobody who works through the queue. */
const storage = Layer.mergeAll(Committer.layer, Jobs.layer).pipe(
  Layer.provideMerge(Messages.layer.pipe(Layer.provide(Erasures.layer))),
  Layer.provideMerge(Topics.layer),
  Layer.provideMerge(Layer.mergeAll(Findings.layer, JobQueue.layer).pipe(Layer.provide(Specs.layer(specs)))),
  Layer.provideMerge(Layer.mergeAll(Ids.layer, EventLog.layer, PausedPlugins.layer)),
  Layer.provideMerge(emptyDatabase)
)

const make = Effect.gen(function* () {
  const services = yield* Layer.build(storage)
  const sql = Context.get(services, SqlClient.SqlClient)
  const queue = Context.get(services, JobQueue)
  const messages = Context.get(services, Messages)
  const topics = Context.get(services, Topics)
  const { channel } = yield* topics.createChannel("general", undefined)
  const { topic } = yield* topics.create(channel.id, "first")
  const rows = (text: string): Effect.Effect<ReadonlyArray<Json>> => Effect.orDie(sql.unsafe(text))
  const post = (content_raw: string) =>
    Effect.map(
      messages.create({ topic_id: topic.id, sender: "ana", content_raw }),
      ({ message }) => message.id
    )
  const takeAll = Effect.map(
    queue.take(
      new Map([
        ["shouts", 50],
        ["tags", 50]
      ])
    ),
    ({ jobs }) => jobs
  )
  const states = Effect.map(
    rows("SELECT plugin_name, message_id, state FROM derivations"),
    (found) => new Map(found.map((row) => [`${row.plugin_name} ${row.message_id}`, row.state]))
  )
  return {
    services,
    queue,
    messages,
    rows,
    post,
    takeAll,
    states,
    commits: Context.get(services, Committer)
  }
})

/** What a plugin that finds one thing would have found. */
const outcomeOf = (job: ClaimedJob): Outcome =>
  job.plugin_name === "shouts"
    ? {
        _tag: "Enrichments",
        job,
        found: [
          draftEnrichment({
            kind: "shout",
            span: { start: 0, end: 1 },
            data: { of: job.message.content_raw }
          })
        ]
      }
    : {
        _tag: "Attachments",
        job,
        found: [draftAttachment({ kind: "tag", key: "k", value_json: { tag: "same" } })]
      }

describe("a commit of several jobs", () => {
  it.live("judges each by its own message, and ends none twice", () =>
    Effect.gen(function* () {
      const { messages, rows, post, takeAll, states, commits } = yield* make
      const [same, edited, deleted, back] = yield* Effect.all([post("A"), post("B"), post("C"), post("D")])
      const jobs = yield* takeAll
      assert.strictEqual(jobs.length, 8)
      yield* messages.edit(edited, "other")
      yield* messages.remove(deleted, "ana")
      yield* messages.edit(back, "other")
      yield* messages.edit(back, "D")
      const ended = yield* commits.commit(jobs.map(outcomeOf))
      assert.strictEqual(ended.length, 8)
      const found = yield* states
      for (const plugin of ["shouts", "tags"]) {
        assert.deepStrictEqual(
          [same, edited, deleted, back].map((id) => found.get(`${plugin} ${id}`)),
          ["committed", "stale", "stale", "stale"]
        )
      }
      const before = yield* rows("SELECT * FROM events")
      assert.deepStrictEqual(
        before.filter(({ name }) => name === "message.enriched").map(({ entity_id }) => entity_id),
        [same]
      )
      assert.deepStrictEqual(
        (yield* rows("SELECT message_id FROM enrichments")).map(({ message_id }) => message_id),
        [same]
      )
      // Delivered again, as after a lost answer: nothing happens.
      assert.deepStrictEqual(yield* commits.commit(jobs.map(outcomeOf)), [])
      assert.deepStrictEqual(yield* rows("SELECT * FROM events"), before)
    })
  )

  it.live("makes one attachment of what several messages have, and each stands behind it", () =>
    Effect.gen(function* () {
      const { messages, rows, post, takeAll, commits } = yield* make
      const ids = [yield* post("A"), yield* post("B"), yield* post("C")]
      yield* commits.commit((yield* takeAll).map(outcomeOf))
      assert.strictEqual((yield* rows("SELECT * FROM attachments")).length, 1)
      assert.strictEqual((yield* rows("SELECT * FROM attachment_sources")).length, 3)
      const added = yield* rows("SELECT * FROM events WHERE name = 'topic.attachment_added'")
      assert.strictEqual(added.length, 1)
      for (const id of ids.slice(0, 2)) yield* messages.remove(id, "ana")
      const [left] = yield* rows("SELECT source_message_id FROM attachments")
      assert.strictEqual(left.source_message_id, ids[2])
    })
  )

  it.live("gives a finding that is found again the version of the plugin that found it now", () =>
    Effect.gen(function* () {
      const { services, rows, post, queue, takeAll, commits } = yield* make
      const message_id = yield* post("A")
      const foundBy = (version: string | null) => (job: ClaimedJob) =>
        job.plugin_name === "shouts"
          ? outcomeOf(job)
          : ({
              _tag: "Attachments",
              job,
              found: [
                draftAttachment({ kind: "tag", key: "k", value_json: { tag: "same" } }, version),
                draftAttachment({ kind: "tag", key: "other", value_json: { tag: "same" } }, version)
              ]
            } as const)
      const versions = Effect.map(rows("SELECT plugin_version FROM attachment_sources"), (found) =>
        found.map(({ plugin_version }) => plugin_version)
      )
      const again = Context.get(services, SqlClient.SqlClient).withTransaction(
        queue.offerAgain([{ message_id, content_version: 1, plugin_name: "tags" }], "2026")
      )
      // The first one is of a hub that did not store versions.
      for (const version of [null, "1.0.0", "2.0.0", "2.0.0"]) {
        const jobs = yield* takeAll
        assert.isNotEmpty(jobs)
        yield* commits.commit(jobs.map(foundBy(version)))
        jobs.forEach(queue.ended)
        assert.deepStrictEqual(yield* versions, [version, version])
        yield* again
      }
      assert.lengthOf(yield* rows("SELECT 1 FROM attachments"), 2)
      assert.lengthOf(yield* rows("SELECT 1 FROM events WHERE name = 'topic.attachment_added'"), 2)
    })
  )

  it.live("is nothing at all where one of them cannot be written", () =>
    Effect.gen(function* () {
      const { rows, post, takeAll, states, commits } = yield* make
      yield* post("fine")
      yield* post("poison")
      yield* rows(refusing("enrichments", "INSERT", "NEW.data_json LIKE '%poison%'").begin)
      const outcomes = (yield* takeAll).map(outcomeOf)
      const before = yield* rows("SELECT * FROM events")
      yield* Effect.flip(commits.commit(outcomes))
      assert.deepStrictEqual([...new Set((yield* states).values())], ["pending"])
      assert.deepStrictEqual(yield* rows("SELECT * FROM events"), before)
      assert.strictEqual((yield* rows("SELECT * FROM enrichments")).length, 0)
    })
  )
})

describe("JobQueue", () => {
  it.live("shows a post's jobs before anybody has looked at them", () =>
    Effect.gen(function* () {
      const { services, rows, post } = yield* make
      const id = yield* post("A")
      assert.strictEqual((yield* rows("SELECT * FROM derivations")).length, 0)
      const shown = yield* Context.get(services, Jobs).ofMessage(id, {})
      assert.deepStrictEqual(
        shown.jobs.map(({ plugin_name, state, content_version }) => [plugin_name, state, content_version]),
        [
          ["shouts", "pending", 1],
          ["tags", "pending", 1]
        ]
      )
    })
  )

  it.live("lists open jobs before posts are expanded, page by page, each once", () =>
    Effect.gen(function* () {
      const { services, queue, rows, post, commits } = yield* make
      const jobs = Context.get(services, Jobs)
      const ids = [yield* post("A"), yield* post("B"), yield* post("C")]
      const expected = ids.toReversed().flatMap((id) => [`${id} tags`, `${id} shouts`])
      const all = Effect.gen(function* () {
        const seen: Array<string> = []
        let before: string | undefined
        do {
          const page = yield* jobs.list({ limit: 2, before })
          seen.push(...page.jobs.map(({ message_id, plugin_name }) => `${message_id} ${plugin_name}`))
          before = page.next ?? undefined
        } while (before !== undefined)
        return seen
      })
      assert.strictEqual((yield* rows("SELECT * FROM derivations")).length, 0)
      assert.deepStrictEqual(yield* all, expected)
      const ofPlugin = yield* jobs.list({ limit: 50, plugin: "tags", state: ["pending"] })
      assert.deepStrictEqual(
        ofPlugin.jobs.map(({ message_id, plugin_name, state, error, ended_at }) => [
          message_id,
          plugin_name,
          state,
          error,
          ended_at
        ]),
        ids.toReversed().map((id) => [id, "tags", "pending", null, null])
      )
      assert.deepStrictEqual(
        yield* jobs.countOpen(["shouts", "tags", "other"]),
        new Map([
          ["shouts", 3],
          ["tags", 3],
          ["other", 0]
        ])
      )
      // A backfill has opened a job of a post that is not expanded: it is one job all the same.
      const [first = ""] = ids
      yield* queue.offerAgain(
        [{ message_id: first, content_version: 1, plugin_name: "tags" }],
        "2026",
        "fill"
      )
      assert.deepStrictEqual(yield* all, expected)
      assert.lengthOf((yield* jobs.ofMessage(first, {})).jobs, 2)
      const { jobs: taken } = yield* queue.take(new Map([["shouts", 50]]))
      yield* commits.commit(taken.map(outcomeOf))
      assert.deepStrictEqual(
        yield* all,
        expected.filter((job) => job.endsWith("tags"))
      )
    })
  )

  it.live("gives a change, its event and its jobs one time", () =>
    Effect.gen(function* () {
      const { services, rows, post, messages, queue, takeAll, commits } = yield* make
      // A clock that goes on with every look at it.
      let now = Date.parse("2026-06-01T12:00:00.000Z")
      const clock: Clock.Clock = Object.assign(Object.create(yield* Clock.Clock), {
        currentTimeMillis: Effect.sync(() => ++now)
      })
      const ticking = Effect.provideService(Clock.Clock, clock)
      const timesOf = (text: string) => Effect.map(rows(text), (found) => new Set(found.map(({ at }) => at)))
      const id = yield* ticking(post("A"))
      assert.strictEqual(
        (yield* timesOf(`SELECT created_at AS at FROM messages WHERE id = '${id}'
          UNION ALL SELECT created_at FROM outbox
          UNION ALL SELECT ts FROM events WHERE name = 'message.created'`)).size,
        1
      )
      yield* ticking(commits.commit((yield* takeAll).map(outcomeOf)))
      assert.strictEqual(
        (yield* timesOf(`SELECT created_at AS at FROM enrichments UNION ALL SELECT created_at FROM attachments
          UNION ALL SELECT ended_at FROM derivations
          UNION ALL SELECT ts FROM events WHERE name IN ('message.enriched', 'topic.attachment_added')`))
          .size,
        1
      )
      yield* ticking(messages.edit(id, "B"))
      yield* queue.take(new Map())
      assert.strictEqual(
        (yield* timesOf(`SELECT edited_at AS at FROM messages UNION ALL SELECT ts FROM events WHERE name = 'message.edited'
          UNION ALL SELECT created_at FROM derivations WHERE content_version = 2`)).size,
        1
      )
      const topics = Context.get(services, Topics)
      const { channel } = yield* ticking(topics.createChannel("other", undefined))
      const { topic } = yield* ticking(topics.create(channel.id, "first"))
      yield* ticking(topics.rename(topic.id, "renamed"))
      for (const [text, at] of [
        [`SELECT ts AS at FROM events WHERE entity_id = '${channel.id}'`, channel.created_at],
        [
          "SELECT ts AS at FROM events WHERE name = 'topic.created' ORDER BY event_id DESC LIMIT 1",
          topic.created_at
        ]
      ] as const) {
        assert.deepStrictEqual([...(yield* timesOf(text))], [at])
      }
    })
  )

  it.live("takes a job once, again when it is let go, and alone if it was begun before", () =>
    Effect.gen(function* () {
      const { queue, post, takeAll } = yield* make
      const first = yield* post("A")
      yield* post("B")
      const jobs = yield* takeAll
      assert.deepStrictEqual(
        jobs.map(({ attempts }) => attempts),
        [1, 1, 1, 1]
      )
      assert.deepStrictEqual(yield* takeAll, [])
      queue.release(jobs)
      yield* post("C")
      const again = yield* takeAll
      assert.deepStrictEqual(
        again.map(({ message_id, attempts }) => [message_id, attempts]),
        [
          [first, 2],
          [first, 2]
        ]
      )
      assert.deepStrictEqual(yield* takeAll, [])
    })
  )

  it.live(
    "takes a job that was offered again after its commit, before the queue knew that it had ended",
    () =>
      Effect.gen(function* () {
        const { services, queue, post, takeAll, commits } = yield* make
        const message_id = yield* post("A")
        const jobs = yield* takeAll
        yield* commits.commit(jobs.map(outcomeOf))
        const again = { message_id, content_version: 1, plugin_name: "tags" }
        const sql = Context.get(services, SqlClient.SqlClient)
        assert.strictEqual(yield* sql.withTransaction(queue.offerAgain([again], "2026")), 1)
        let arrivals = 0
        queue.onArrival(() => arrivals++)
        // It is still worked on, as far as the queue knows.
        assert.deepStrictEqual(yield* takeAll, [])
        jobs.forEach(queue.ended)
        assert.isAbove(arrivals, 0)
        const taken = yield* takeAll
        assert.deepStrictEqual(
          taken.map(({ plugin_name, message_id }) => ({ plugin_name, message_id })),
          [{ plugin_name: "tags", message_id }]
        )
      })
  )

  it.live("counts a job that is begun again when its plugin is ready for it, not before", () =>
    Effect.gen(function* () {
      const { queue, post, rows, takeAll } = yield* make
      yield* post("A")
      const attempts = Effect.map(rows("SELECT attempts FROM derivations"), (found) =>
        found.map(({ attempts }) => attempts)
      )
      queue.release(yield* takeAll)
      for (let start = 0; start < 9; start++) {
        const jobs = yield* takeAll
        assert.isTrue(jobs.every(({ again, attempts }) => again && attempts === 2))
        queue.release(jobs)
      }
      assert.deepStrictEqual(yield* attempts, [1, 1])
      for (const job of yield* takeAll) yield* queue.countDelivery(job)
      assert.deepStrictEqual(yield* attempts, [2, 2])
    })
  )

  it.live("reads on where there are more posts than it looks at together", () =>
    Effect.gen(function* () {
      const { queue, post, rows } = yield* make
      for (let n = 0; n < 65; n++) yield* post(`m${n}`)
      assert.isTrue((yield* queue.take(new Map([["shouts", 1]]))).more)
      // There are jobs enough: the last post can wait.
      assert.isTrue((yield* queue.take(new Map([["shouts", 1]]))).more)
      assert.strictEqual((yield* rows("SELECT * FROM derivations")).length, 128)
      const rest = yield* queue.take(new Map([["shouts", 64]]))
      assert.isFalse(rest.more)
      assert.strictEqual(rest.jobs.length, 63)
      assert.strictEqual((yield* rows("SELECT * FROM derivations")).length, 130)
    })
  )
})

describe("a hub under load", () => {
  const one = (input: unknown) =>
    Effect.succeed([{ kind: "k", span: { start: 0, end: 1 }, data: { chars: JSON.stringify(input).length } }])

  it.live(
    "loses no job while messages are posted, edited and deleted",
    () =>
      Effect.gen(function* () {
        const names = ["one", "two", "three"]
        const hub = yield* startHub({
          plugins: names.map(linkifierSpec),
          fakes: Object.fromEntries(names.map((name) => [name, one]))
        })
        const { topic } = yield* makeTopic(hub)
        const change = Effect.fnUntraced(function* (n: number) {
          const { body } = yield* hub.post("/api/v1/messages", {
            topic_id: topic,
            sender: "ana",
            content_raw: `m${n}`
          })
          const route = `/api/v1/messages/${body.message.id}`
          if (n % 3 === 1) yield* hub.patch(route, { op: "edit", content_raw: `edited ${n}` })
          if (n % 5 === 2) yield* hub.patch(route, { op: "delete", actor: "ana" })
        })
        yield* Effect.forEach(
          Array.from({ length: 200 }, (_, n) => n),
          change,
          { concurrency: 16 }
        )
        yield* eventually(
          hub.rows(
            "SELECT 1 FROM outbox UNION ALL SELECT 1 FROM derivations WHERE state IN ('pending', 'failed')"
          ),
          (open) => open.length === 0
        )
        const wrong = yield* hub.rows(`
          SELECT m.id FROM messages m WHERE
            (SELECT count(*) FROM derivations d WHERE d.message_id = m.id) <> 3 * m.content_version
            OR (m.deleted_at IS NULL AND 3 <> (SELECT count(*) FROM derivations d WHERE d.message_id = m.id
              AND d.content_version = m.content_version AND d.state = 'committed'))
            OR (SELECT count(*) FROM enrichments e WHERE e.message_id = m.id)
              <> CASE WHEN m.deleted_at IS NULL THEN 3 ELSE 0 END`)
        assert.deepStrictEqual(wrong, [])
        assert.strictEqual((yield* hub.rows("SELECT id FROM messages")).length, 200)
        // An event for every commit, and no commit without its event.
        const [counts] = yield* hub.rows(`
          SELECT (SELECT count(*) FROM events WHERE name = 'message.enriched') AS events,
            (SELECT count(*) FROM derivations WHERE state = 'committed') AS commits`)
        assert.strictEqual(counts.events, counts.commits)
      }),
    60_000
  )

  it.live("commits the others where one of them cannot be written, and that one when it can", () =>
    Effect.gen(function* () {
      const said = (input: unknown) =>
        Effect.succeed([{ kind: "k", span: { start: 0, end: 1 }, data: { said: JSON.stringify(input) } }])
      const hub = yield* startHub({ plugins: [linkifierSpec("said")], fakes: { said } })
      const { topic } = yield* makeTopic(hub)
      const refusal = refusing("enrichments", "INSERT", "NEW.data_json LIKE '%poison%'")
      yield* hub.rows(refusal.begin)
      const texts = Array.from({ length: 20 }, (_, n) => (n === 7 ? "poison" : `fine ${n}`))
      yield* Effect.forEach(
        texts,
        (content_raw) => hub.post("/api/v1/messages", { topic_id: topic, sender: "ana", content_raw }),
        { concurrency: 20 }
      )
      const committed = hub.rows("SELECT 1 FROM derivations WHERE state = 'committed'")
      yield* eventually(committed, (found) => found.length === 19)
      yield* hub.rows(refusal.end)
      yield* eventually(committed, (found) => found.length === 20)
      assert.strictEqual((yield* hub.rows("SELECT id FROM enrichments")).length, 20)
    })
  )
})
