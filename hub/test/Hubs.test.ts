/** Several hubs, as processes of their own, on one PostgreSQL. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { allEnrichedOnce } from "./allEnrichedOnce.ts"
import { kill, start } from "./killableHub.ts"
import { connect, hello } from "./socketClient.ts"
import { databaseOf, onPostgres } from "./testDatabase.ts"
import { eventually, type Json, makeTopic, rowsOf, tempWorkspace } from "./testHub.ts"

/** Two hubs in workspaces of their own, on the database of the first. */
const startTwo = Effect.gen(function* () {
  const here = yield* tempWorkspace
  const there = yield* tempWorkspace
  const database = databaseOf(here)
  const [one, other] = yield* Effect.all([start(here, database), start(there, database)], { concurrency: 2 })
  return { one, other, rows: yield* rowsOf(here) }
})

const messages = 500

describe.runIf(onPostgres)("two hubs on one database", () => {
  it.live(
    "share the jobs; one is killed, and all of them are done, each once",
    () =>
      Effect.gen(function* () {
        const { one, other, rows } = yield* startTwo
        const { topic } = yield* makeTopic(one.api)
        const posted = new Set<string>()
        let isStopped = false
        const post = (n: number) =>
          Effect.gen(function* () {
            const { api } = n % 2 === 0 || isStopped ? other : one
            const content_raw = `LOUD and CLEAR #tag${n} #everywhere`
            const answer = yield* Effect.exit(
              api.post("/api/v1/messages", { topic_id: topic, sender: "ana", content_raw })
            )
            if (answer._tag === "Success" && answer.value.status === 201)
              posted.add(answer.value.body.message.id)
          })
        const owners = rows("SELECT count(DISTINCT owner) AS n FROM derivations WHERE state = 'pending'")
        let orphaned = 0
        // Stopped first: what it has claimed then, it still has when it is killed.
        const stopped = Effect.gen(function* () {
          isStopped = true
          one.process.kill("SIGSTOP")
          const found = yield* owners
          if (found[0].n === 2) return found
          one.process.kill("SIGCONT")
          isStopped = false
          return found
        })
        const killInMidWork = Effect.gen(function* () {
          const [row] = yield* eventually(stopped, ([row]) => row.n === 2)
          yield* kill(one)
          orphaned = row.n
        })
        yield* Effect.forEach(
          Array.from({ length: messages }, (_, n) => n),
          (n) => (n === 300 ? Effect.andThen(killInMidWork, post(n)) : post(n)),
          { concurrency: 16 }
        )
        assert.strictEqual(orphaned, 2)
        assert.isAbove(posted.size, messages - 20)
        const open = rows(
          "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM derivations WHERE state = 'pending') AS n"
        )
        yield* eventually(open, ([row]) => row.n === 0, 60_000)

        yield* allEnrichedOnce(rows, posted)
        assert.strictEqual((yield* rows("SELECT id FROM hubs")).length, 1)
      }),
    120_000
  )

  it.live(
    "give everybody the same events in the same order, while both are written to",
    () =>
      Effect.gen(function* () {
        const { one, other, rows } = yield* startTwo
        const { topic } = yield* makeTopic(one.api)
        const early = yield* Effect.all([connect(one, hello(0)), connect(other, hello(0))])
        yield* Effect.forEach(
          Array.from({ length: 200 }, (_, n) => n),
          (n) =>
            (n % 2 === 0 ? one : other).api.post("/api/v1/messages", {
              topic_id: topic,
              sender: "ana",
              content_raw: `LOUD #tag${n}`
            }),
          { concurrency: 16 }
        )
        const late = yield* Effect.all([connect(one, hello(0)), connect(other, hello(0))])
        yield* eventually(
          rows("SELECT count(*) AS n FROM derivations WHERE state <> 'pending'"),
          ([row]) => row.n === 400
        )
        const log = (yield* rows("SELECT event_id FROM events ORDER BY event_id")).map(
          ({ event_id }) => event_id
        )
        yield* Effect.forEach([...early, ...late], ({ reaches }) => reaches(log.at(-1)))
        for (const reader of [...early, ...late]) assert.deepStrictEqual([...reader.ids()], log)
        // Nobody began what another had begun.
        assert.deepStrictEqual(yield* rows("SELECT DISTINCT attempts FROM derivations"), [{ attempts: 1 }])
        // The ids of messages sort as their events do, whichever hub gave them.
        const created = yield* rows(
          "SELECT entity_id FROM events WHERE name = 'message.created' ORDER BY event_id"
        )
        const ids = created.map(({ entity_id }) => String(entity_id))
        assert.deepStrictEqual(ids.toSorted(), ids)
        assert.strictEqual(new Set(ids).size, 200)
      }),
    60_000
  )

  it.live(
    "see a change of the other at once",
    () =>
      Effect.gen(function* () {
        const { one, other } = yield* startTwo
        const { topic } = yield* makeTopic(one.api)
        const reader = yield* connect(other, hello(0))
        yield* reader.reaches(2)
        for (let n = 0; n < 5; n++) {
          const message = { topic_id: topic, sender: "ana", content_raw: "quiet" }
          const posted: Json = yield* one.api.post("/api/v1/messages", message)
          const before = performance.now()
          yield* reader.reaches(posted.body.event_id)
          // Five times in a row before it would have looked without being told, which is every five seconds.
          assert.isBelow(performance.now() - before, 4_000)
        }
        // Both index, and neither twice.
        for (const hub of [other, one]) {
          const { body } = yield* hub.api.get("/api/v1/search?q=quiet")
          assert.strictEqual(body.results.length, 5)
          assert.isTrue(body.index.complete)
        }
      }),
    60_000
  )
})
