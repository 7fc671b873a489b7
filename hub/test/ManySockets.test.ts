/** As many clients as may be, some of which come and go, while several write. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect, hello, refused } from "./socketClient.ts"
import { makeTopic, startHub } from "./testHub.ts"

const clients = 100
const posts = 150
const writers = 6
const upTo = (last: number) => Array.from({ length: last }, (_, at) => at + 1)

it.live(
  "A hundred clients have every event once and in order, also those that leave and come back",
  () =>
    Effect.gen(function* () {
      // A place is free again when the hub has noticed who left.
      const hub = yield* startHub({ live: { maxSockets: clients + 20 } })
      const { topic } = yield* makeTopic(hub)
      // The channel and the topic are events too.
      const last = posts + 2
      const write = (number: number) =>
        Effect.map(
          hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: `${number}` }),
          ({ status }) => assert.strictEqual(status, 201)
        )

      /** Reads for a while, leaves in the middle of something, and goes on from what it has. */
      const comesBack = (client: number) =>
        Effect.gen(function* () {
          const seen: Array<number> = []
          while ((seen.at(-1) ?? 0) < last) {
            const newest = seen.at(-1) ?? 0
            const leaveAt = Math.min(last, newest + 20 + ((client * 7 + newest) % 60))
            const ids = yield* Effect.scoped(
              Effect.gen(function* () {
                const socket = yield* connect(hub, hello(newest))
                yield* socket.reaches(leaveAt)
                return socket.ids()
              })
            )
            seen.push(...ids)
          }
          return seen
        })
      const stays = Effect.gen(function* () {
        const socket = yield* connect(hub, hello(0))
        yield* socket.reaches(last)
        return socket.ids()
      })

      const writing = Effect.forEach(upTo(posts), write, { concurrency: writers, discard: true })
      const listening = Effect.forEach(
        upTo(clients),
        (client) => (client % 9 === 0 ? comesBack(client) : stays),
        { concurrency: "unbounded" }
      )
      const [seen] = yield* Effect.all([Effect.scoped(listening), writing], { concurrency: "unbounded" })
      for (const ids of seen) assert.deepStrictEqual(ids, upTo(last))
    }),
  120_000
)

it.live(
  "A hundred sockets are open at once if nothing is said, and no more",
  () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const open = yield* Effect.forEach(upTo(clients), () => connect(hub, hello(0)), { concurrency: 10 })
      assert.strictEqual((yield* refused(hub, `?token=${hub.token}`)).status, 503)
      const { topic } = yield* makeTopic(hub)
      yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: "x" })
      for (const client of open) yield* client.reaches(3)
      for (const client of open) assert.deepStrictEqual(client.ids(), [1, 2, 3])
    }),
  60_000
)
