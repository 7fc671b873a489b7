import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { allEnrichedOnce } from "./allEnrichedOnce.ts"
import { kill, start } from "./killableHub.ts"
import { eventually, type Json, makeTopic, rowsOf, tempWorkspace } from "./testHub.ts"

const read = (workspace: string, text: string): Effect.Effect<ReadonlyArray<Json>> =>
  Effect.scoped(Effect.flatMap(Effect.orDie(rowsOf(workspace)), (rows) => rows(text)))

const open =
  "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM derivations WHERE state = 'pending') AS n"

describe("a hub killed with SIGKILL in mid-work", () => {
  it.live(
    "loses nothing and does nothing twice",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const posted = new Map<string, number>()
        let topic = ""
        let interrupted = 0
        let n = 0
        for (let round = 0; round < 3; round++) {
          const scope = yield* Scope.make()
          const hub = yield* Scope.provide(start(workspace), scope)
          if (topic === "") topic = (yield* makeTopic(hub.api)).topic
          const posting = Effect.gen(function* () {
            const tag = n++
            const answer = yield* hub.api.post("/api/v1/messages", {
              topic_id: topic,
              sender: "ana",
              content_raw: `LOUD and CLEAR #tag${tag} #everywhere`
            })
            if (answer.status === 201) posted.set(String(answer.body.message.id), tag)
          })
          yield* Effect.forEach(Array.from({ length: 40 }), () => posting, { concurrency: 8 })
          // In the middle: some of it is done, most is not.
          yield* Effect.forkChild(Effect.forEach(Array.from({ length: 200 }), () => Effect.exit(posting)))
          yield* eventually(
            hub.api.get("/api/v1/events?tail=1000"),
            ({ body }) =>
              body.events.filter((event: Json) => event.name === "message.enriched").length > 5 * (round + 1)
          )
          yield* kill(hub)
          yield* Scope.close(scope, Exit.void)
          const [left] = yield* read(workspace, open)
          interrupted += left.n
        }

        assert.isAbove(interrupted, 0)
        yield* start(workspace)
        const rows = (text: string) => read(workspace, text)
        yield* eventually(rows(open), ([row]) => row.n === 0, 30_000)

        const kept = yield* allEnrichedOnce(rows, posted.keys())
        const [attached] = yield* rows("SELECT count(*) AS n FROM attachments")
        const [added] = yield* rows("SELECT count(*) AS n FROM events WHERE name = 'topic.attachment_added'")
        assert.strictEqual(added.n, attached.n)
        const created = yield* rows("SELECT count(*) AS n FROM events WHERE name = 'message.created'")
        assert.strictEqual(created[0].n, kept)
        const early = yield* rows(`
            SELECT count(*) AS n FROM events e JOIN events c ON c.entity_id = e.entity_id AND c.name = 'message.created'
            WHERE e.name = 'message.enriched' AND e.event_id < c.event_id`)
        assert.strictEqual(early[0].n, 0)
      }),
    90_000
  )
})
