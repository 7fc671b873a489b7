import { assert, describe, it } from "@effect/vitest"
import { ExecutionError } from "@agentlip/plugin-runtime"
import { Effect } from "effect"
import { type Json, jobsOf, linkifierSpec, makeTopic, startHub, type TestHub } from "./testHub.ts"

const post = (hub: TestHub, topic_id: string, content_raw: string) =>
  Effect.map(hub.post("/api/v1/messages", { topic_id, sender: "x", content_raw }), ({ body }) =>
    String(body.message.id)
  )

const newestJobs = (hub: TestHub, ids: ReadonlyArray<string>) =>
  hub.get(`/api/v1/jobs/newest?${ids.map((id) => `message_id=${id}`).join("&")}`)

describe("GET /api/v1/jobs/newest", () => {
  it.live("returns the jobs of the newest content of each message, in the order of the query", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({
        plugins: [linkifierSpec("finds"), linkifierSpec("nothing")],
        fakes: {
          finds: () => Effect.succeed([{ kind: "letter", span: { start: 0, end: 1 }, data: {} }]),
          nothing: () => Effect.succeed([])
        }
      })
      const { topic } = yield* makeTopic(hub)
      const first = yield* post(hub, topic, "a")
      const second = yield* post(hub, topic, "b")
      yield* jobsOf(hub, first)
      yield* hub.patch(`/api/v1/messages/${first}`, { op: "edit", content_raw: "aa" })
      yield* jobsOf(hub, first)
      yield* jobsOf(hub, second)
      const { status, body } = yield* newestJobs(hub, [second, "none", first])
      assert.strictEqual(status, 200, JSON.stringify(body))
      assert.deepStrictEqual(
        body.jobs.map((job: Json) => [job.message_id, job.plugin_name, job.state, job.content_version]),
        [
          [second, "finds", "committed", 1],
          [second, "nothing", "empty", 1],
          [first, "finds", "committed", 2],
          [first, "nothing", "empty", 2]
        ]
      )
      assert.isNull(body.next)
      assert.strictEqual((yield* newestJobs(hub, [])).status, 400)
      assert.strictEqual((yield* newestJobs(hub, Array(101).fill("x"))).status, 400)
    })
  )

  it.live("ends early when the page is full, and says where", () =>
    Effect.gen(function* () {
      const message = "x".repeat(15_000)
      const hub = yield* startHub({
        plugins: Array.from({ length: 30 }, (_, n) => linkifierSpec(`fails-${n}`)),
        fakes: Object.fromEntries(
          Array.from({ length: 30 }, (_, n) => [
            `fails-${n}`,
            () => Effect.fail(new ExecutionError({ plugin: `fails-${n}`, cause: { name: "Error", message } }))
          ])
        )
      })
      const { topic } = yield* makeTopic(hub)
      const ids: Array<string> = []
      for (const text of ["a", "b", "c"]) ids.push(yield* post(hub, topic, text))
      for (const id of ids) yield* jobsOf(hub, id)
      const { body } = yield* newestJobs(hub, ids)
      assert.isString(body.next)
      const at = ids.indexOf(body.next)
      assert.isAbove(at, 0)
      assert.strictEqual(body.jobs.length, at * 30)
      const rest = yield* newestJobs(hub, ids.slice(at))
      assert.strictEqual(rest.body.jobs[0].message_id, body.next)
    })
  )
})

describe("GET /api/v1/messages?order=asc", () => {
  it.live("returns the messages directly after another one, oldest first", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const ids: Array<string> = []
      for (const text of ["a", "b", "c", "d", "e"]) ids.push(yield* post(hub, topic, text))
      const page = (query: string) =>
        Effect.map(hub.get(`/api/v1/messages?topic_id=${topic}&${query}`), ({ body }) => [
          body.messages.map(({ id }: Json) => ids.indexOf(id)),
          body.has_more
        ])
      assert.deepStrictEqual(yield* page(`order=asc&limit=2&after_id=${ids[1]}`), [[2, 3], true])
      assert.deepStrictEqual(yield* page(`order=asc&after_id=${ids[2]}`), [[3, 4], false])
      assert.deepStrictEqual(yield* page(`order=asc&before_id=${ids[2]}`), [[0, 1], false])
      assert.deepStrictEqual(yield* page(`order=desc&limit=2&after_id=${ids[1]}`), [[4, 3], true])
      assert.strictEqual((yield* hub.get(`/api/v1/messages?topic_id=${topic}&order=up`)).status, 400)
    })
  )
})
