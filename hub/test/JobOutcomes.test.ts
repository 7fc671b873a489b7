import { PluginTimeout, WorkerCrash } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Schema } from "effect"
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

const Input = Schema.Struct({ message: Schema.Struct({ content_raw: Schema.String }) })
const contentOf = (input: unknown): string => Schema.decodeUnknownSync(Input)(input).message.content_raw

/** A linkifier that finds words in capitals. */
const shouts = (input: unknown) =>
  Effect.sync(() =>
    [...contentOf(input).matchAll(/[A-Z]{3,}/g)].map((match) => ({
      kind: "shout",
      span: { start: match.index, end: match.index + match[0].length },
      data: { text: match[0] }
    }))
  )

/** An extractor that finds #tags. */
const tags = (input: unknown) =>
  Effect.sync(() =>
    [...contentOf(input).matchAll(/#\w+/g)].map(([tag]) => ({ kind: "tag", key: tag, value_json: { tag } }))
  )

const both = {
  plugins: [linkifierSpec("shouts"), extractorSpec("tags")],
  fakes: { shouts, tags }
}

const post = (hub: TestHub, topic_id: string, content_raw: string): Effect.Effect<string> =>
  Effect.map(hub.post("/api/v1/messages", { topic_id, sender: "ana", content_raw }), ({ status, body }) => {
    assert.strictEqual(status, 201)
    return String(body.message.id)
  })

const edit = (hub: TestHub, id: string, content_raw: string) =>
  hub.patch(`/api/v1/messages/${id}`, { op: "edit", content_raw })
const remove = (hub: TestHub, id: string) =>
  hub.patch(`/api/v1/messages/${id}`, { op: "delete", actor: "ana" })
const enrichments = (hub: TestHub, id: string): Effect.Effect<ReadonlyArray<Json>> =>
  Effect.map(hub.get(`/api/v1/messages/${id}/enrichments`), ({ body }) => body.enrichments)
const attachments = (hub: TestHub, topic: string): Effect.Effect<ReadonlyArray<Json>> =>
  Effect.map(hub.get(`/api/v1/topics/${topic}/attachments`), ({ body }) => body.attachments)
const events = (hub: TestHub, name: string): Effect.Effect<ReadonlyArray<Json>> =>
  Effect.map(hub.get("/api/v1/events?tail=1000"), ({ body }) =>
    body.events.filter((event: Json) => event.name === name)
  )
const stateOf = (derivations: ReadonlyArray<Json>, plugin: string, version = 1): unknown =>
  derivations.find(
    ({ plugin_name, content_version }) => plugin_name === plugin && content_version === version
  )?.state

describe("Jobs", () => {
  it.live("commits rows, events and the end of the job of each plugin", () =>
    Effect.gen(function* () {
      const hub = yield* startHub(both)
      const { channel, topic } = yield* makeTopic(hub)
      const id = yield* post(hub, topic, "STOP the #build and TEST it, #build")
      const jobs = yield* jobsOf(hub, id)
      assert.strictEqual(stateOf(jobs, "shouts"), "committed")
      assert.strictEqual(stateOf(jobs, "tags"), "committed")

      const found = yield* enrichments(hub, id)
      assert.deepStrictEqual(
        found.map(({ kind, span, data }) => ({ kind, span, data })),
        [
          { kind: "shout", span: { start: 0, end: 4 }, data: { text: "STOP" } },
          { kind: "shout", span: { start: 20, end: 24 }, data: { text: "TEST" } }
        ]
      )
      const [enriched, ...more] = yield* events(hub, "message.enriched")
      assert.strictEqual(more.length, 0)
      assert.deepStrictEqual(enriched.scope, { channel_id: channel, topic_id: topic, topic_id2: null })
      assert.deepStrictEqual(enriched.entity, { type: "message", id })
      assert.strictEqual(enriched.data_json.message_id, id)
      assert.strictEqual(enriched.data_json.plugin_name, "shouts")
      assert.deepStrictEqual(
        enriched.data_json.enrichment_ids,
        found.map((row) => row.id)
      )
      assert.deepStrictEqual(
        enriched.data_json.enrichments,
        found.map((row) => ({ id: row.id, kind: row.kind, span: row.span, data: row.data }))
      )

      const [tag, ...others] = yield* attachments(hub, topic)
      assert.strictEqual(others.length, 0)
      assert.strictEqual(tag.key, "#build")
      assert.strictEqual(tag.source_message_id, id)
      assert.strictEqual(tag.dedupe_key, JSON.stringify({ tag: "#build" }))
      const added = yield* events(hub, "topic.attachment_added")
      assert.deepStrictEqual(
        added.map((event) => event.data_json.attachment),
        [tag]
      )
    })
  )

  it.live("ends as empty, without an event, where there is nothing", () =>
    Effect.gen(function* () {
      const hub = yield* startHub(both)
      const { topic } = yield* makeTopic(hub)
      const jobs = yield* jobsOf(hub, yield* post(hub, topic, "quiet"))
      assert.deepStrictEqual(
        jobs.map(({ state }) => state),
        ["empty", "empty"]
      )
      assert.strictEqual((yield* events(hub, "message.enriched")).length, 0)
    })
  )

  it.live("replaces on an edit what was derived before, keeps what is found again", () =>
    Effect.gen(function* () {
      const hub = yield* startHub(both)
      const { topic } = yield* makeTopic(hub)
      const id = yield* post(hub, topic, "ONE #a #b")
      yield* jobsOf(hub, id)
      const kept = (yield* attachments(hub, topic)).find(({ key }) => key === "#a")
      assert.isDefined(kept)
      yield* edit(hub, id, "TWO THREE #a #c")
      const jobs = yield* jobsOf(hub, id)
      assert.strictEqual(stateOf(jobs, "shouts", 2), "committed")
      assert.deepStrictEqual(
        (yield* enrichments(hub, id)).map(({ data }) => data.text),
        ["TWO", "THREE"]
      )
      const after = yield* attachments(hub, topic)
      assert.deepStrictEqual(
        after.map(({ key }) => key),
        ["#c", "#a"]
      )
      assert.deepStrictEqual(after[1], kept)
      assert.deepStrictEqual(
        (yield* events(hub, "topic.attachment_added")).map((event) => event.data_json.attachment.key),
        ["#a", "#b", "#c"]
      )
      assert.strictEqual((yield* events(hub, "message.enriched")).length, 2)
      yield* edit(hub, id, "nothing")
      yield* jobsOf(hub, id)
      assert.strictEqual((yield* enrichments(hub, id)).length, 0)
      assert.strictEqual((yield* attachments(hub, topic)).length, 0)
    })
  )

  const held = Effect.fnUntraced(function* () {
    const entered = yield* Deferred.make<void>()
    const go = yield* Deferred.make<void>()
    let runs = 0
    const fake = (input: unknown) =>
      Effect.suspend(() =>
        ++runs > 1
          ? shouts(input)
          : Deferred.succeed(entered, undefined).pipe(
              Effect.andThen(Deferred.await(go)),
              Effect.andThen(shouts(input))
            )
      )
    const hub = yield* startHub({ plugins: [linkifierSpec("held")], fakes: { held: fake } })
    return { hub, entered: Deferred.await(entered), go: Deferred.succeed(go, undefined) }
  })

  it.live("discards what was derived from a content that was edited meanwhile", () =>
    Effect.gen(function* () {
      const { hub, entered, go } = yield* held()
      const { topic } = yield* makeTopic(hub)
      const id = yield* post(hub, topic, "OLD")
      yield* entered
      yield* edit(hub, id, "NEW")
      yield* go
      const jobs = yield* jobsOf(hub, id)
      assert.strictEqual(stateOf(jobs, "held", 1), "stale")
      assert.strictEqual(stateOf(jobs, "held", 2), "committed")
      assert.deepStrictEqual(
        (yield* events(hub, "message.enriched")).map((event) => event.data_json.enrichments[0].data.text),
        ["NEW"]
      )
    })
  )

  it.live("commits once when a message is edited and edited back during the run", () =>
    Effect.gen(function* () {
      const { hub, entered, go } = yield* held()
      const { topic } = yield* makeTopic(hub)
      const id = yield* post(hub, topic, "SAME")
      yield* entered
      yield* edit(hub, id, "OTHER")
      yield* edit(hub, id, "SAME")
      yield* go
      const jobs = yield* jobsOf(hub, id)
      assert.deepStrictEqual(
        [1, 2, 3].map((version) => stateOf(jobs, "held", version)),
        ["stale", "stale", "committed"]
      )
      assert.strictEqual((yield* enrichments(hub, id)).length, 1)
      assert.strictEqual((yield* events(hub, "message.enriched")).length, 1)
    })
  )

  it.live("discards what was derived from a message that was deleted meanwhile", () =>
    Effect.gen(function* () {
      const { hub, entered, go } = yield* held()
      const { topic } = yield* makeTopic(hub)
      const id = yield* post(hub, topic, "GONE")
      yield* entered
      yield* remove(hub, id)
      yield* go
      assert.strictEqual(stateOf(yield* jobsOf(hub, id), "held"), "stale")
      assert.strictEqual((yield* events(hub, "message.enriched")).length, 0)
    })
  )

  it.live("derives into the topic the message is in by then", () =>
    Effect.gen(function* () {
      const { hub, entered, go } = yield* held()
      const { channel, topic } = yield* makeTopic(hub)
      const other = yield* hub.post("/api/v1/topics", { channel_id: channel, title: "second" })
      const id = yield* post(hub, topic, "MOVED")
      yield* entered
      yield* hub.patch(`/api/v1/messages/${id}`, {
        op: "move_topic",
        to_topic_id: other.body.topic.id,
        mode: "one"
      })
      yield* go
      assert.strictEqual(stateOf(yield* jobsOf(hub, id), "held"), "committed")
      const [enriched] = yield* events(hub, "message.enriched")
      assert.strictEqual(enriched.scope.topic_id, other.body.topic.id)
    })
  )

  it.live("leaves nothing derived of a deleted message, and what others stand behind", () =>
    Effect.gen(function* () {
      const hub = yield* startHub(both)
      const { topic } = yield* makeTopic(hub)
      const posted = yield* hub.post(`/api/v1/topics/${topic}/attachments`, {
        kind: "tag",
        key: "#posted",
        value_json: { tag: "#posted" }
      })
      const first = yield* post(hub, topic, "A LOUD #shared #mine #posted")
      yield* jobsOf(hub, first)
      const second = yield* post(hub, topic, "#shared")
      yield* jobsOf(hub, second)
      assert.deepStrictEqual(
        (yield* attachments(hub, topic)).map(({ key }) => key),
        ["#mine", "#shared", "#posted"]
      )
      // Posting what is there already claims it.
      const claimed = yield* hub.post(`/api/v1/topics/${topic}/attachments`, {
        kind: "tag",
        key: "#mine",
        value_json: { tag: "#mine" }
      })
      assert.strictEqual(claimed.status, 200)
      yield* remove(hub, first)
      assert.strictEqual((yield* enrichments(hub, first)).length, 0)
      const left = yield* attachments(hub, topic)
      assert.deepStrictEqual(
        left.map(({ key, source_message_id }) => [key, source_message_id]),
        [
          ["#mine", first],
          ["#shared", second],
          ["#posted", null]
        ]
      )
      assert.strictEqual(left[2].id, posted.body.attachment.id)
      yield* remove(hub, second)
      assert.strictEqual((yield* attachments(hub, topic)).length, 2)
    })
  )

  it.live("gives up a job that was begun five times and never ended", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({
        plugins: [linkifierSpec("defect"), linkifierSpec("fine")],
        fakes: { defect: () => Effect.die("a bug in the runtime"), fine: shouts }
      })
      const { topic } = yield* makeTopic(hub)
      const id = yield* post(hub, topic, "LOUD")
      yield* eventually(
        hub.rows(
          "UPDATE derivations SET attempts = 5 WHERE plugin_name = 'defect' AND attempts = 1 RETURNING attempts"
        ),
        (changed) => changed.length === 1
      )
      const jobs = yield* jobsOf(hub, id)
      assert.strictEqual(stateOf(jobs, "fine"), "committed")
      assert.strictEqual(stateOf(jobs, "defect"), "failed")
      assert.strictEqual(
        jobs.find(({ plugin_name }) => plugin_name === "defect").error.code,
        "DELIVERY_FAILED"
      )
    })
  )

  it.live("keeps a failure for the operator, and nothing of an earlier content", () =>
    Effect.gen(function* () {
      const crash = new WorkerCrash({ plugin: "tags", reason: "it exited", exitCode: 7 })
      const hub = yield* startHub({
        ...both,
        fakes: {
          shouts,
          tags: (input) => (contentOf(input).includes("boom") ? Effect.fail(crash) : tags(input))
        }
      })
      const { topic } = yield* makeTopic(hub)
      const id = yield* post(hub, topic, "#a")
      yield* jobsOf(hub, id)
      yield* edit(hub, id, "#a boom LOUD")
      const jobs = yield* jobsOf(hub, id)
      assert.strictEqual(stateOf(jobs, "shouts", 2), "committed")
      const failed = jobs.find(({ state }) => state === "failed")
      assert.strictEqual(failed.error.code, "WORKER_CRASH")
      assert.strictEqual(failed.error.message, crash.message)
      assert.strictEqual(failed.error.error.exitCode, 7)
      assert.strictEqual((yield* attachments(hub, topic)).length, 0)
    })
  )

  it.live("waits while a breaker is open, without the other plugins, and runs when it lets it", () =>
    Effect.gen(function* () {
      let broken = true
      let runs = 0
      const slow = new PluginTimeout({ plugin: "sick", timeout: Duration.seconds(1), phase: "run" })
      const hub = yield* startHub({
        plugins: [linkifierSpec("sick"), linkifierSpec("well")],
        fakes: {
          sick: (input) => Effect.suspend(() => (runs++, broken ? Effect.fail(slow) : shouts(input))),
          well: shouts
        },
        breaker: { failureThreshold: 3, cooldown: "4 seconds" }
      })
      const { topic } = yield* makeTopic(hub)
      const ids: Array<string> = []
      for (let n = 0; n < 8; n++) ids.push(yield* post(hub, topic, `LOUD ${n}`))
      const states = (plugin: string) =>
        Effect.map(
          Effect.forEach(ids, (id) => hub.get(`/api/v1/messages/${id}/derivations`)),
          (answers) => answers.map(({ body }) => String(stateOf(body.derivations, plugin)))
        )
      // A job shows as waiting as soon as the circuit is open, the one whose failure opened it too until that is kept.
      const tripped = yield* eventually(
        states("sick"),
        (found) => found.filter((state) => state === "failed").length === 3 && !found.includes("pending")
      )
      assert.deepStrictEqual(tripped.slice().sort(), [
        ...Array<string>(3).fill("failed"),
        ...Array<string>(5).fill("waiting")
      ])
      assert.strictEqual(runs, 3)
      yield* eventually(states("well"), (found) => found.every((state) => state === "committed"))
      const late = yield* post(hub, topic, "LATE")
      ids.push(late)
      const [waiting] = (yield* hub.get(`/api/v1/messages/${late}/derivations`)).body.derivations
      assert.strictEqual(waiting.state, "waiting")
      assert.strictEqual(waiting.error.code, "CIRCUIT_OPEN")

      broken = false
      const healed = yield* eventually(states("sick"), (found) =>
        found.every((state) => state === "failed" || state === "committed")
      )
      assert.strictEqual(healed.filter((state) => state === "committed").length, 6)
      assert.strictEqual(runs, 9)
      const burnt = yield* hub.rows("SELECT max(attempts) AS most FROM derivations")
      assert.strictEqual(burnt[0].most, 1)
      assert.strictEqual((yield* enrichments(hub, late)).length, 2)
    })
  )

  it.live("lets neither posting nor the other plugins wait for a slow one", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({
        plugins: [linkifierSpec("stuck"), linkifierSpec("well")],
        fakes: { stuck: () => Effect.never, well: shouts }
      })
      const { topic } = yield* makeTopic(hub)
      const ids = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, n) => n),
        (n) => post(hub, topic, `LOUD ${n}`),
        { concurrency: 10 }
      )
      yield* eventually(
        hub.rows("SELECT count(*) AS n FROM derivations WHERE plugin_name = 'well' AND state = 'committed'"),
        ([row]) => row.n === ids.length
      )
      assert.strictEqual(
        (yield* hub.rows("SELECT count(*) AS n FROM derivations WHERE state = 'pending'"))[0].n,
        50
      )
    })
  )

  it.live("commits a thousand enrichments of one message", () =>
    Effect.gen(function* () {
      const many = () =>
        Effect.succeed(
          Array.from({ length: 1_000 }, (_, n) => ({
            kind: "k",
            span: { start: n, end: n + 1 },
            data: { n }
          }))
        )
      const hub = yield* startHub({ plugins: [linkifierSpec("many")], fakes: { many } })
      const { topic } = yield* makeTopic(hub)
      const id = yield* post(hub, topic, "x".repeat(1_000))
      yield* jobsOf(hub, id)
      assert.strictEqual((yield* enrichments(hub, id)).length, 1_000)
      const [enriched] = yield* events(hub, "message.enriched")
      assert.strictEqual(new Set(enriched.data_json.enrichment_ids).size, 1_000)
    })
  )

  it.live("lets plugins take turns, however many there are", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      // More than the hub starts at once.
      const names = Array.from({ length: 60 }, (_, number) => `plugin-${number}`)
      const plugins = names.map(linkifierSpec)
      const start = (run: (name: string) => Effect.Effect<[]>) =>
        startHub({
          workspace,
          plugins,
          fakes: Object.fromEntries(names.map((name) => [name, () => run(name)])),
          concurrency: 10 * names.length
        })
      const ids = yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* start(() => Effect.never)
          const { topic } = yield* makeTopic(hub)
          return yield* Effect.forEach(["A", "B", "C", "D", "E"], (text) => post(hub, topic, text))
        })
      )
      // Now every plugin has five open jobs.
      const runs: Array<string> = []
      const hub = yield* start((name) => Effect.sync(() => (runs.push(name), [])))
      for (const id of ids) yield* jobsOf(hub, id)
      assert.lengthOf(runs, 5 * names.length)
      assert.sameMembers(runs.slice(0, names.length), names)
    })
  )

  it.live("gives a running job back at a clean stop; the next start ends it", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const plugins = [linkifierSpec("shouts")]
      const entered = yield* Deferred.make<void>()
      const stuck = () => Effect.andThen(Deferred.succeed(entered, undefined), Effect.never)
      const id = yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* startHub({ workspace, plugins, fakes: { shouts: stuck } })
          const { topic } = yield* makeTopic(hub)
          const id = yield* post(hub, topic, "LATER")
          yield* Deferred.await(entered)
          return id
        })
      )
      const hub = yield* startHub({ workspace, plugins, fakes: { shouts } })
      assert.strictEqual(stateOf(yield* jobsOf(hub, id), "shouts"), "committed")
      assert.strictEqual((yield* hub.rows("SELECT attempts FROM derivations"))[0].attempts, 1)
    })
  )
})

describe("GET /api/v1/findings", () => {
  it.live("has the findings of several messages, with their plugins, in pages", () =>
    Effect.gen(function* () {
      const hub = yield* startHub(both)
      const { topic } = yield* makeTopic(hub)
      const first = yield* post(hub, topic, "#b and #a, ONE and TWO")
      const second = yield* post(hub, topic, "THREE, #a again")
      const third = yield* post(hub, topic, "nothing")
      for (const id of [first, second, third]) yield* jobsOf(hub, id)
      const read = (query: string) => hub.get(`/api/v1/findings?${query}`)
      const all = `message_id=${first}&message_id=${second}&message_id=${third}&message_id=none`
      const { status, body } = yield* read(all)
      assert.strictEqual(status, 200)
      assert.isNull(body.next)
      const told = body.findings.map((found: Json) => [
        found.message_id,
        found.type,
        found.plugin_name,
        found.data?.text ?? found.attachment.value_json.tag
      ])
      assert.sameDeepMembers(told, [
        [first, "enrichment", "shouts", "ONE"],
        [first, "enrichment", "shouts", "TWO"],
        [first, "attachment", "tags", "#a"],
        [first, "attachment", "tags", "#b"],
        [second, "enrichment", "shouts", "THREE"],
        // The topic has one attachment for both messages.
        [second, "attachment", "tags", "#a"]
      ])
      // By message, and in a message first the enrichments, by their place.
      const { findings } = body
      assert.deepStrictEqual(told.slice(0, 2), [
        [first, "enrichment", "shouts", "ONE"],
        [first, "enrichment", "shouts", "TWO"]
      ])
      const own = yield* enrichments(hub, first)
      assert.deepStrictEqual(
        findings.slice(0, 2),
        own.map((found) => ({ type: "enrichment", ...found }))
      )
      const attached = yield* attachments(hub, topic)
      assert.sameDeepMembers(
        findings.slice(2, 4).map(({ attachment }: Json) => attachment),
        [...attached]
      )
      const paged: Array<Json> = []
      for (const limit of [1, 2, 4, 5]) {
        paged.length = 0
        for (let next = ""; ; ) {
          const page = (yield* read(`${all}&limit=${limit}${next}`)).body
          paged.push(...page.findings)
          if (page.next === null) break
          assert.strictEqual(page.findings.length, limit)
          next = `&after=${encodeURIComponent(page.next)}`
        }
        assert.deepStrictEqual(paged, findings, `pages of ${limit}`)
      }
      const turned = (yield* read(`message_id=${second}&message_id=${first}`)).body.findings
      assert.deepStrictEqual(turned, [...findings.slice(4), ...findings.slice(0, 4)])

      yield* remove(hub, first)
      const left = (yield* read(all)).body.findings
      assert.deepStrictEqual(
        left.map(({ message_id }: Json) => message_id),
        [second, second]
      )
      const many = (count: number) => Array.from({ length: count }, () => `message_id=${second}`).join("&")
      assert.strictEqual((yield* read(many(100))).body.findings.length, 2)
      for (const bad of [
        "",
        many(101),
        `${many(1)}&limit=0`,
        `${all}&after=x`,
        `${many(1)}&after=1-${first}`
      ]) {
        const { status, body } = yield* read(bad)
        assert.deepStrictEqual([status, body.code], [400, "INVALID_INPUT"], bad.slice(0, 40))
      }
    })
  )
})
