/** Moves of many messages at once. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Json, makeTopic, startHub } from "./testHub.ts"

const count = 2_200

it.live(
  "A move of many messages has one event for each, in their order, and others are served meanwhile",
  () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { channel, topic } = yield* makeTopic(hub)
      const to = yield* hub.post("/api/v1/topics", { channel_id: channel, title: "other" })
      const other = String(to.body.topic.id)
      const ids = Array.from({ length: count }, (_, at) => `0${at.toString(16).padStart(16, "0")}`)
      yield* hub.rows(`
      INSERT INTO messages (id, topic_id, channel_id, sender, content_raw, version, content_version, created_at)
      VALUES ${ids.map((id) => `('${id}', '${topic}', '${channel}', 'a', 'x', 1, 1, '2026-01-01')`).join(",")}`)
      const newest = (yield* hub.get("/api/v1/events?limit=1")).body.replay_until
      // Requests are answered in turns of the event loop like these.
      let turns = 0
      const turn = (): void => {
        turns++
        next = setImmediate(turn)
      }
      let next = setImmediate(turn)
      const move = { op: "move_topic", to_topic_id: other, mode: "later" }
      const { body } = yield* hub.patch(`/api/v1/messages/${ids[100]}`, move)
      clearImmediate(next)
      assert.isAtLeast(turns, 4)
      assert.strictEqual(body.affected_count, count - 100)
      assert.deepStrictEqual(
        body.event_ids,
        ids.slice(100).map((_, at) => newest + 1 + at)
      )
      const events: Array<Json> = []
      while (events.length < count - 100) {
        const after = events.at(-1)?.event_id ?? newest
        events.push(...(yield* hub.get(`/api/v1/events?limit=1000&after=${after}`)).body.events)
      }
      assert.deepStrictEqual(
        events.map(({ event_id, name, entity, scope, data_json }) => [
          event_id,
          name,
          entity.id,
          scope.topic_id,
          scope.topic_id2,
          data_json.message_id,
          data_json.version
        ]),
        ids.slice(100).map((id, at) => [body.event_ids[at], "message.moved_topic", id, topic, other, id, 2])
      )
      const left = yield* hub.rows(
        `SELECT count(*) AS n FROM messages WHERE topic_id = '${topic}' AND version = 1`
      )
      assert.strictEqual(Number(left[0].n), 100)
      const rest = { ...move, mode: "all" }
      assert.strictEqual((yield* hub.patch(`/api/v1/messages/${ids[0]}`, rest)).body.affected_count, 100)
    })
)
