/** Every event that a hub writes is one that `@agentlip/protocol` declares, with the data that it declares. */
import { CircuitBreaker, ExecutionError } from "@agentlip/plugin-runtime"
import { eventNames, type HubEvent, knownEvent } from "@agentlip/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { onPostgres } from "./testDatabase.ts"
import { eventually, extractorSpec, type Json, linkifierSpec, makeTopic, startHub } from "./testHub.ts"

describe("Events", () => {
  it.live("of every kind are those of the protocol", () =>
    Effect.gen(function* () {
      const error = new ExecutionError({ plugin: "fails", cause: { name: "Error", message: "no" } })
      let isHeld = true
      const hub = yield* startHub({
        plugins: [
          linkifierSpec("finds"),
          extractorSpec("attaches"),
          linkifierSpec("fails"),
          linkifierSpec("slow")
        ],
        fakes: {
          finds: () => Effect.succeed([{ kind: "x", span: { start: 0, end: 1 }, data: { a: [1] } }]),
          attaches: () => Effect.succeed([{ kind: "x", value_json: { a: 1 } }]),
          fails: () => Effect.fail(error),
          slow: () => Effect.repeat(Effect.sleep("5 millis"), { while: () => isHeld }).pipe(Effect.as([]))
        }
      })
      const { topic, channel } = yield* makeTopic(hub)
      const other = yield* hub.post("/api/v1/topics", { channel_id: channel, title: "other" })
      yield* hub.patch(`/api/v1/topics/${other.body.topic.id}`, { title: "renamed" })
      const post = (content_raw: string) =>
        Effect.map(
          hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw }),
          ({ body }): string => body.message.id
        )
      const first = yield* post("one")
      const second = yield* post("two")
      yield* hub.patch(`/api/v1/messages/${first}`, { op: "edit", content_raw: "uno" })
      yield* hub.patch(`/api/v1/messages/${second}`, { op: "delete", actor: "ada", erase: true })
      yield* hub.patch(`/api/v1/messages/${first}`, {
        op: "move_topic",
        to_topic_id: other.body.topic.id,
        mode: "one"
      })
      isHeld = false
      const breaker = Context.get(hub.services, CircuitBreaker)
      yield* breaker.trip("slow")
      yield* breaker.reset("slow")

      const events = yield* eventually(
        Effect.map(hub.get("/api/v1/events?limit=1000"), ({ body }): ReadonlyArray<HubEvent> => body.events),
        // The log never has the one that tells a reader of pruned events.
        (events) => new Set(events.map(({ name }) => name)).size === eventNames.length - 1
      )
      for (const event of events) {
        const known = knownEvent(event)
        assert.deepStrictEqual(known?.data as Json, event.data_json, event.name)
      }
    })
  )

  it.live("have numbers beyond 2^31", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({})
      const { topic, channel } = yield* makeTopic(hub)
      const newest = 2 ** 40
      yield* hub.rows(
        onPostgres
          ? `SELECT setval(pg_get_serial_sequence('events', 'event_id'), ${newest})`
          : `UPDATE sqlite_sequence SET seq = ${newest} WHERE name = 'events'`
      )
      const { body } = yield* hub.post("/api/v1/messages", {
        topic_id: topic,
        sender: "ada",
        content_raw: "x"
      })
      assert.strictEqual(body.event_id, newest + 1)
      const after = newest - 1
      for (const query of [
        `after=${after}`,
        `after=${after}&channel_id=${channel}`,
        `tail=1&topic_id=${topic}`
      ]) {
        const { body } = yield* hub.get(`/api/v1/events?${query}`)
        assert.deepStrictEqual(
          body.events.map(({ event_id }: Json) => event_id),
          [newest + 1],
          query
        )
        assert.strictEqual(body.replay_until, newest + 1)
      }
    })
  )
})

describe("knownEvent", () => {
  it("leaves out what it does not know, by name and by shape", () => {
    const event = {
      event_id: 1,
      ts: "2026-01-01T00:00:00.000Z",
      scope: { channel_id: null, topic_id: null, topic_id2: null },
      entity: { type: "plugin", id: "p" }
    }
    const closed = { ...event, name: "plugin.circuit_closed" }
    assert.strictEqual(knownEvent({ ...closed, data_json: { plugin_name: "p" } })?.name, closed.name)
    assert.isUndefined(knownEvent({ ...closed, data_json: { plugin_name: 1 } }))
    assert.isUndefined(knownEvent({ ...event, name: "plugin.renamed", data_json: { plugin_name: "p" } }))
    assert.isUndefined(knownEvent({ ...event, name: "constructor", data_json: {} }))
  })
})
