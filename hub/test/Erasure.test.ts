/** What erasing a message removes, down to the bytes of the files; docs/operations.md says the same. */
import { ExecutionError } from "@agentlip/plugin-runtime"
import { type HubEvent, knownEvent } from "@agentlip/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { commandsOf } from "./cli.ts"
import {
  eventually,
  extractorSpec,
  jobsOf,
  type Json,
  linkifierSpec,
  makeTopic,
  startHub,
  tempWorkspace,
  type TestHub
} from "./testHub.ts"
import { onPostgres } from "./testDatabase.ts"

const secret = "SECRET7431"
const keyed = (key: string) => ({ headers: { "idempotency-key": key } })

/** A plugin for each way in which a text gets into the database. */
const plugins = {
  plugins: [linkifierSpec("finds"), extractorSpec("attaches"), linkifierSpec("throws")],
  fakes: {
    finds: ({ message: { content_raw: content } }: Json) =>
      Effect.succeed([{ kind: "shout", span: { start: 0, end: 3 }, data: { text: content } }]),
    attaches: ({ message: { content_raw: content } }: Json) =>
      Effect.succeed([{ kind: "tag", value_json: { text: content } }]),
    throws: ({ message: { content_raw: content } }: Json) =>
      Effect.fail(
        new ExecutionError({ plugin: "throws", cause: { name: "Error", message: `bad: ${content}` } })
      )
  },
  breaker: { failureThreshold: 100_000, cooldown: "1 minute" }
} as const

const allEvents = (hub: TestHub) =>
  Effect.map(
    hub.get("/api/v1/events?limit=1000"),
    ({ body }) => body.events as ReadonlyArray<HubEvent & Json>
  )

const remove = (hub: TestHub, id: string, more = {}) =>
  hub.patch(`/api/v1/messages/${id}`, { op: "delete", actor: "bo", ...more })

const erased = (hub: TestHub, id: string) =>
  eventually(
    Effect.map(hub.get(`/api/v1/erasures/${id}`), ({ body }) => body.erasure as Json),
    ({ state }) => state === "done"
  )

/** The files of a workspace in which a text is, as bytes. */
const filesWith = (workspace: string, text: string) =>
  Effect.sync(() => {
    const folder = path.join(workspace, ".agentlip")
    return fs
      .readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => path.join(parentPath, name))
      .filter((file) => {
        const bytes = fs.readFileSync(file)
        // The index has words in lower case.
        return [text, text.toLowerCase()].some((form) => bytes.includes(form))
      })
      .map((file) => path.relative(folder, file))
  })

describe("Erasing a message", () => {
  it.live("leaves its text nowhere in the database, nor in the bytes of its files", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const hub = yield* startHub({ workspace, ...plugins })
      const { topic } = yield* makeTopic(hub)
      const post = (content_raw: string, key: string) =>
        Effect.map(
          hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw }, keyed(key)),
          ({ body }) => String(body.message.id)
        )
      // Enough around it for pages to be split, before and after.
      for (let n = 0; n < 40; n++) yield* post(`other ${n} ${"x".repeat(n * 20)}`, `before-${n}`)
      const id = yield* post(`${secret} ${"long ".repeat(2_000)}`, "one")
      yield* jobsOf(hub, id)
      const edit = (content_raw: string) => hub.patch(`/api/v1/messages/${id}`, { op: "edit", content_raw })
      yield* edit(`edited ${secret}`)
      yield* jobsOf(hub, id)
      yield* edit(`edited again ${secret}`)
      yield* jobsOf(hub, id)
      let last = id
      for (let n = 0; n < 40; n++) last = yield* post(`other ${n} ${"y".repeat(n * 20)}`, `after-${n}`)
      yield* jobsOf(hub, last)
      // The jobs of others may end later.
      yield* eventually(
        hub.rows("SELECT 1 FROM outbox UNION ALL SELECT 1 FROM derivations WHERE state = 'pending'"),
        ({ length }) => length === 0
      )
      const search = yield* hub.get(`/api/v1/search?q=${secret}`)
      assert.isAbove(search.body.results.length, 0, JSON.stringify(search.body))
      if (!onPostgres) assert.isNotEmpty(yield* filesWith(workspace, secret))
      const before = yield* allEvents(hub)

      const answer = yield* remove(hub, id, { erase: true })
      assert.deepInclude(answer.body.erasure, { message_id: id, state: "running" })
      const erasure = yield* erased(hub, id)
      const after = yield* allEvents(hub)
      const withText = before.filter((event) => JSON.stringify(event).includes(secret))
      assert.strictEqual(erasure.events, withText.length)
      assert.deepStrictEqual([...new Set(withText.map(({ name }) => name))].sort(), [
        "message.created",
        "message.edited",
        "message.enriched",
        "plugin.failed",
        "topic.attachment_added"
      ])
      assert.notInclude(JSON.stringify(after), secret)
      // Numbers, names and shapes are as before, and so is everything else.
      const [deleted, tombstone] = after.slice(before.length)
      assert.strictEqual(deleted?.name, "message.deleted")
      assert.deepInclude(tombstone, { name: "message.erased" })
      assert.deepStrictEqual(tombstone?.data_json, {
        message_id: id,
        erased_by: "bo",
        events: withText.length
      })
      for (const [index, event] of before.entries()) {
        const now = after[index]
        if (!withText.includes(event)) assert.deepStrictEqual(now, event)
        else {
          const { data_json: _, ...envelope } = event
          assert.deepInclude(now, envelope)
          assert.isDefined(now === undefined ? now : knownEvent(now), event.name)
        }
      }
      assert.isEmpty((yield* hub.get(`/api/v1/search?q=${secret}`)).body.results)
      if (!onPostgres) assert.deepStrictEqual(yield* filesWith(workspace, secret), [])
    })
  )

  it.live("leaves no start of a word in the list of pages of the search index", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const hub = yield* startHub({ workspace })
      const { topic } = yield* makeTopic(hub)
      const post = (content_raw: string) =>
        Effect.map(
          hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw }),
          ({ body }) => String(body.message.id)
        )
      const isFound = (word: string) =>
        eventually(hub.get(`/api/v1/search?q=${word}`), ({ body }) => body.results.length > 0)
      yield* post("other words")
      yield* isFound("other")
      // They fill several pages. The last page has words of both messages, and stays.
      const id = yield* post(Array.from({ length: 3_000 }, (_, n) => `${secret}${n}`).join(" "))
      yield* isFound(`${secret}2999`)
      if (!onPostgres) yield* hub.rows("INSERT INTO search_words (search_words) VALUES ('optimize')")
      yield* remove(hub, id, { erase: true })
      yield* erased(hub, id)
      if (!onPostgres) {
        assert.deepStrictEqual(yield* filesWith(workspace, secret), [])
        yield* hub.rows("INSERT INTO search_words (search_words, rank) VALUES ('integrity-check', 1)")
      }
      yield* isFound("other")
    })
  )

  it.live.skipIf(onPostgres)(
    "leaves a table alone that has the name of v1's index and is somebody else's",
    () =>
      Effect.gen(function* () {
        const hub = yield* startHub()
        const { topic } = yield* makeTopic(hub)
        yield* hub.rows("CREATE TABLE messages_fts (words TEXT)")
        yield* hub.rows("INSERT INTO messages_fts VALUES ('of another program')")
        const body = { topic_id: topic, sender: "ada", content_raw: secret }
        const id = String((yield* hub.post("/api/v1/messages", body)).body.message.id)
        yield* remove(hub, id, { erase: true })
        yield* erased(hub, id)
        assert.deepStrictEqual(
          (yield* hub.rows("SELECT words FROM messages_fts")).map(({ words }) => words),
          ["of another program"]
        )
      })
  )

  it.live("goes on after a restart, works on deleted messages, and waits in the command line", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const ids = yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* startHub({ workspace, ...plugins })
          const { topic } = yield* makeTopic(hub)
          const ids: Array<string> = []
          for (const n of [1, 2]) {
            const body = { topic_id: topic, sender: "ada", content_raw: `${secret} ${n}` }
            ids.push((yield* hub.post("/api/v1/messages", body)).body.message.id)
          }
          for (const id of ids) yield* jobsOf(hub, id)
          const [first = "", second = ""] = ids
          yield* remove(hub, first)
          assert.strictEqual((yield* hub.get(`/api/v1/erasures/${first}`)).status, 404)
          // As if the hub had been killed after the deletion.
          yield* remove(hub, second)
          const at = new Date().toISOString()
          yield* hub.rows(`INSERT INTO erasures
            SELECT id, channel_id, 'bo', 0, (SELECT max(event_id) FROM events), 0, '${at}', NULL
            FROM messages WHERE id = '${second}'`)
          return ids
        })
      )
      const [first = "", second = ""] = ids
      const hub = yield* startHub({ workspace, ...plugins })
      assert.isAbove((yield* erased(hub, second)).events, 0)
      assert.include(JSON.stringify(yield* allEvents(hub)), `${secret} 1`)
      assert.notInclude(JSON.stringify(yield* allEvents(hub)), `${secret} 2`)
      const done = yield* commandsOf(workspace)("msg", "delete", first, "--erase", "--actor", "bo")
      assert.match(done.out, /erased from \d+ events\. Backups and other copies/)
      assert.notInclude(JSON.stringify(yield* allEvents(hub)), secret)
      if (!onPostgres) assert.deepStrictEqual(yield* filesWith(workspace, secret), [])
    })
  )

  it.live("leaves what other messages and clients say", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({
        plugins: [extractorSpec("attaches")],
        fakes: { attaches: () => Effect.succeed([{ kind: "tag", value_json: { text: "shared" } }]) }
      })
      const { topic } = yield* makeTopic(hub)
      const post = Effect.gen(function* () {
        const body = { topic_id: topic, sender: "ada", content_raw: "hello" }
        const { id } = (yield* hub.post("/api/v1/messages", body)).body.message
        yield* jobsOf(hub, id)
        return String(id)
      })
      const first = yield* post
      const second = yield* post
      const note = { kind: "note", value_json: { by: "a client" }, source_message_id: first }
      yield* hub.post(`/api/v1/topics/${topic}/attachments`, note)
      yield* remove(hub, first, { erase: true })
      const { events } = yield* erased(hub, first)
      assert.strictEqual(events, 1)
      const text = JSON.stringify(yield* allEvents(hub))
      for (const kept of ["shared", "a client"]) assert.include(text, kept)
      assert.strictEqual((yield* hub.get(`/api/v1/messages/${second}`)).body.message.content_raw, "hello")
    })
  )
})
