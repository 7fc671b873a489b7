/** How the database goes about every statement of a hub that is used in every way: by an index, in its order. */
import { assert, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { DatabaseSync } from "node:sqlite"
import { onPostgres } from "./testDatabase.ts"
import {
  eventually,
  jobsOf,
  extractorSpec,
  type Json,
  linkifierSpec,
  makeTopic,
  startHub
} from "./testHub.ts"
import { connect, hello } from "./socketClient.ts"

interface Recorded {
  readonly text: string
  readonly params: ReadonlyArray<unknown>
}

/** Tables that grow with what people write. */
const growing = [
  "channels",
  "topics",
  "messages",
  "events",
  "attachments",
  "attachment_sources",
  "enrichments",
  "derivations",
  "idempotency_keys"
]

/** Indexes of rows that do not stay: of jobs that are open, or failed. */
const partial = /USING (COVERING )?INDEX derivations_(pending|failed)/

/** Reading a whole table, seldom. */
const mayBeScanned: ReadonlyArray<readonly [RegExp, string]> = [
  [/SELECT count\(\*\) AS n FROM messages$/, "when an operator begins a backfill, and only an index"]
]

/** Sorting what is never much. */
const mayBeSorted: ReadonlyArray<readonly [RegExp, string]> = [
  [/FROM enrichments WHERE message_id/, "of one message"],
  [/FROM derivations WHERE message_id/, "of one message"],
  [/FROM backfills/, "as many as an operator began"],
  [/FROM outbox/, "jobs that nobody has looked at yet"],
  [/\) UNION \(/, "of each scope as many numbers as are wanted"],
  [/ORDER BY position/, "what the statement was given"],
  [/FROM plugin_results/, "a cache's batch"]
]

const mayBe = (text: string, list: typeof mayBeSorted): boolean =>
  list.some(([pattern]) => pattern.test(text))

/** Uses a hub for everything, and answers what it asked its database. */
const everyStatement = Effect.gen(function* () {
  const recorded = new Map<string, Recorded>()
  const record: Statement.Transformer = (statement) =>
    Effect.sync(() => {
      const [text, params] = statement.compile(false)
      recorded.set(text, { text, params })
      return statement
    })
  // EachRow.ts hands statements to SQLite itself.
  const { prepare } = DatabaseSync.prototype
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      DatabaseSync.prototype.prepare = function (text, ...options) {
        const params = Array.from(text.matchAll(/\?/g), () => null)
        if (!recorded.has(text)) recorded.set(text, { text, params })
        return prepare.call(this, text, ...options)
      }
    }),
    () =>
      Effect.sync(() => {
        DatabaseSync.prototype.prepare = prepare
      })
  )
  const url = { kind: "url", span: { start: 0, end: 1 }, data: {} }
  const hub = yield* startHub({
    plugins: [linkifierSpec("links"), extractorSpec("tags"), linkifierSpec("fails"), linkifierSpec("none")],
    fakes: {
      links: () => Effect.succeed([url]),
      tags: () => Effect.succeed([{ kind: "tag", value_json: { tag: "x" } }]),
      fails: () => Effect.succeed("no list"),
      none: () => Effect.succeed([])
    },
    breaker: { failureThreshold: 1_000 }
  }).pipe(Effect.provideService(Statement.CurrentTransformer, record))
  // What brings an old database up to date is done once.
  recorded.clear()
  const { channel, topic } = yield* makeTopic(hub)
  const other = String(
    (yield* hub.post("/api/v1/topics", { channel_id: channel, title: "other" })).body.topic.id
  )
  yield* hub.patch(`/api/v1/topics/${other}`, { title: "renamed" })
  const ids: Array<string> = []
  for (const at of [1, 2, 3, 4]) {
    const headers = { "idempotency-key": `key-${at}` }
    const message = { topic_id: topic, sender: "a", content_raw: `${at}` }
    ids.push(String((yield* hub.post("/api/v1/messages", message, { headers })).body.message.id))
  }
  for (const id of ids) yield* jobsOf(hub, id)
  const [first, second, third] = ids
  yield* hub.patch(`/api/v1/messages/${first}`, { op: "edit", content_raw: "edited" })
  yield* jobsOf(hub, String(first))
  for (const mode of ["one", "later", "all"]) {
    for (const to_topic_id of [other, topic])
      yield* hub.patch(`/api/v1/messages/${second}`, { op: "move_topic", to_topic_id, mode })
  }
  const fact = { kind: "k", value_json: { a: 1 }, source_message_id: first }
  for (const _ of [1, 2]) yield* hub.post(`/api/v1/topics/${topic}/attachments`, fact)
  yield* hub.patch(`/api/v1/messages/${third}`, { op: "delete", actor: "a", erase: true })
  yield* eventually(hub.get(`/api/v1/erasures/${third}`), ({ body }) => body.erasure.state === "done")
  yield* hub.post("/api/v1/jobs/retry", {})
  yield* hub.post("/api/v1/jobs/retry", { plugin: "fails", message_id: first })
  const began = yield* hub.post("/api/v1/backfills", { plugin: "links" })
  yield* hub.post("/api/v1/backfills", {})
  // Nothing is that old, so that everything is there for what follows.
  yield* hub.post("/api/v1/prune", { before: "2000-01-01T00:00:00Z", keep_events: 2 })
  yield* eventually(hub.get("/api/v1/prune"), ({ body }) => body.prune.state === "done")
  const states = ["pending", "waiting", "committed", "empty", "stale", "failed"]
  const position = encodeURIComponent(`${first}/0000000001/links`)
  const filters = [
    `channel_id=${channel}`,
    `topic_id=${topic}`,
    `topic_id=${topic}&topic_id=${other}&channel_id=${channel}`
  ]
  for (const path of [
    "/health",
    "/metrics",
    "/api/v1/plugins",
    "/api/v1/channels",
    `/api/v1/channels/${channel}/topics?offset=1`,
    `/api/v1/channels/${channel}/topics?limit=1`,
    ...["", "&before_id=z", "&after_id=0"].flatMap((page) => [
      `/api/v1/messages?topic_id=${topic}${page}`,
      `/api/v1/messages?channel_id=${channel}${page}`,
      `/api/v1/messages?topic_id=${topic}&channel_id=${channel}${page}`
    ]),
    `/api/v1/messages/${first}/enrichments`,
    `/api/v1/messages/${first}/derivations`,
    `/api/v1/topics/${topic}/attachments`,
    `/api/v1/topics/${topic}/attachments?kind=tag`,
    ...["", ...filters].flatMap((filter) => [
      `/api/v1/events?after=1&${filter}`,
      `/api/v1/events?tail=2&${filter}`
    ]),
    "/api/v1/jobs",
    ...states.flatMap((state) => [
      `/api/v1/jobs?state=${state}`,
      `/api/v1/jobs?state=${state}&plugin=links`,
      `/api/v1/jobs?state=${state}&before=${position}`
    ]),
    "/api/v1/backfills",
    `/api/v1/backfills/${began.body.backfill.id}`
  ]) {
    const status = yield* Effect.promise(async () => (await fetch(`${hub.url}${path}`)).status)
    assert.strictEqual(status, 200, path)
  }
  const socket = yield* connect(hub, hello(0, { topics: [topic], channels: [channel] }))
  yield* socket.reaches(5)
  return { hub, recorded }
})

/** Takes SQLite's write lock, and reads no row. */
const readsNothing = /WHERE 1 = 0/

/** What is wrong with the way to do it; nothing is all right. */
const objection = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, { text, params }: Recorded) {
  if (readsNothing.test(text)) return undefined
  const explained = yield* sql.unsafe<Json>(
    `EXPLAIN ${onPostgres ? "(FORMAT JSON)" : "QUERY PLAN"} ${text}`,
    params
  )
  if (!onPostgres) {
    const steps = explained.map(({ detail }) => String(detail))
    const table = steps.find((step) => {
      const [, name = ""] = /^SCAN (\w+)/.exec(step) ?? []
      return (growing.includes(name) || /^[admse]$/.test(name)) && !partial.test(step)
    })
    if (table !== undefined && !mayBe(text, mayBeScanned)) return table
    return mayBe(text, mayBeSorted) ? undefined : steps.find((step) => step.includes("TEMP B-TREE"))
  }
  const plan = JSON.stringify(explained)
  const scanned = [...plan.matchAll(/"Seq Scan"[^{}]*?"Relation Name":"(\w+)"/g)].find(([, name = ""]) =>
    growing.includes(name)
  )
  if (scanned !== undefined && !mayBe(text, mayBeScanned)) return plan
  return mayBe(text, mayBeSorted) || !/"Node Type":"(Incremental )?Sort"/.test(plan) ? undefined : plan
})

it.live(
  "every statement goes through an index, and none sorts what may be much",
  () =>
    Effect.gen(function* () {
      const { hub, recorded } = yield* everyStatement
      const sql = Context.get(hub.services, SqlClient.SqlClient)
      const statements = [...recorded.values()].filter(({ text }) =>
        /^\s*(SELECT|INSERT|UPDATE|DELETE|\()/.test(text)
      )
      assert.isAbove(statements.length, 50)
      const problems: Array<string> = []
      yield* sql.withTransaction(
        Effect.gen(function* () {
          if (onPostgres) {
            // Tables of a test are so small that reading all of one costs nothing.
            yield* sql.unsafe("SET LOCAL enable_seqscan = off")
            yield* sql.unsafe("SET LOCAL enable_sort = off")
          }
          for (const one of statements) {
            const problem = yield* objection(sql, one)
            if (problem !== undefined) problems.push(`${one.text.replace(/\s+/g, " ")}\n    ${problem}`)
          }
        })
      )
      assert.deepStrictEqual(problems, [])
      // It sees what it looks for.
      const bad = [
        { text: "SELECT * FROM messages WHERE sender = 'a'", params: [] },
        { text: "SELECT id FROM messages WHERE topic_id = 'a' ORDER BY created_at", params: [] }
      ]
      for (const one of bad) {
        const problem = yield* sql.withTransaction(
          Effect.gen(function* () {
            if (onPostgres) yield* sql.unsafe("SET LOCAL enable_seqscan = off")
            return yield* objection(sql, one)
          })
        )
        assert.isDefined(problem, one.text)
      }
    }),
  60_000
)
