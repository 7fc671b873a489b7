import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import * as http from "node:http"
import { eventually, type Json, makeTopic, startHub, type TestHub } from "./testHub.ts"

interface SseClient {
  readonly head: http.IncomingMessage
  readonly text: () => string
  readonly events: () => ReadonlyArray<{ readonly id: number; readonly name: string; readonly data: Json }>
  /** Waits until it has been sent this event, whole. */
  readonly reaches: (id: number) => Effect.Effect<void>
  /** Whether it ended as a whole answer does. */
  readonly ended: Effect.Effect<boolean>
}

/** Blocks that have ended, as a browser would see them. */
const parse = (text: string) =>
  text
    .split("\n\n")
    .slice(0, -1)
    .flatMap((block) => {
      const fields = new Map(
        block
          .split("\n")
          .map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)])
      )
      const data = fields.get("data")
      if (data === undefined) return []
      return [
        { id: Number(fields.get("id")), name: fields.get("event") ?? "", data: JSON.parse(data) as Json }
      ]
    })

const listen = (hub: Pick<TestHub, "url">, query = "", headers: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.callback<SseClient & { readonly leave: () => void }, Error>((resume) => {
      const request = http.get(
        `${hub.url}/api/v1/events/stream${query}`,
        { headers, agent: false },
        (head) => {
          let text = ""
          head.setEncoding("utf8")
          head.on("data", (part: string) => (text += part))
          head.on("error", () => {})
          const ended = new Promise<boolean>((done) => head.on("close", () => done(head.complete)))
          const events = () => parse(text)
          resume(
            Effect.succeed({
              head,
              text: () => text,
              events,
              reaches: (id) =>
                Effect.asVoid(
                  eventually(
                    Effect.sync(() => text.endsWith("\n\n") && text.lastIndexOf(`id: ${id}\n`) >= 0),
                    (reached) => reached
                  )
                ),
              ended: Effect.promise(() => ended),
              leave: () => request.destroy()
            })
          )
        }
      )
      request.on("error", (error) => resume(Effect.fail(error)))
    }).pipe(Effect.orDie),
    ({ leave }) => Effect.sync(leave)
  )

const post = (hub: TestHub, topic: string, content_raw = "x") =>
  Effect.map(hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw }), ({ body }) =>
    Number(body.event_id)
  )

const logged = (hub: TestHub) =>
  Effect.map(hub.get("/api/v1/events?limit=1000"), ({ body }) =>
    body.events.map(({ data_json, ...event }: Json) => ({ type: "event", ...event, data: data_json }))
  )

const upTo = (last: number) => Array.from({ length: last }, (_, at) => at + 1)
const idsOf = ({ events }: SseClient) => events().map(({ id }) => id)

describe("GET /api/v1/events/stream", () => {
  it.live("has the log and then what happens, with ids and names, without a token", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      yield* post(hub, topic, "line\nand line\r\nand \u2028 line")
      const client = yield* listen(hub)
      assert.strictEqual(client.head.statusCode, 200)
      assert.strictEqual(client.head.headers["content-type"], "text/event-stream")
      assert.strictEqual(client.head.headers["cache-control"], "no-store")
      yield* client.reaches(3)
      yield* client.reaches(yield* post(hub, topic, "live"))
      const log = yield* logged(hub)
      assert.deepStrictEqual(
        client.events(),
        log.map((event: Json) => ({ id: event.event_id, name: event.name, data: event }))
      )
    })
  )

  it.live("sends its head before there is an event", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const client = yield* listen(hub)
      yield* eventually(Effect.sync(client.text), (text) => text === "retry: 1000\n\n")
    })
  )

  it.live("goes on after Last-Event-ID, or else after the query", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      for (let at = 0; at < 3; at++) yield* post(hub, topic)
      const byQuery = yield* listen(hub, "?after=3")
      const byHeader = yield* listen(hub, "?after=1", { "last-event-id": "4" })
      const emptyHeader = yield* listen(hub, "?after=4", { "last-event-id": "" })
      const ahead = yield* listen(hub, "?after=900")
      yield* eventually(Effect.sync(ahead.text), (text) => text !== "")
      const last = yield* post(hub, topic)
      for (const client of [byQuery, byHeader, emptyHeader]) yield* client.reaches(last)
      assert.deepStrictEqual([byQuery, byHeader, emptyHeader].map(idsOf), [
        [4, 5, 6],
        [5, 6],
        [5, 6]
      ])
      yield* ahead.reaches(last)
      assert.deepStrictEqual(idsOf(ahead), [6])
    })
  )

  it.live("refuses what is no position", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      for (const query of ["?after=-1", "?after=x", "?after=1.5", "?after=1&after=2"]) {
        const { status, body } = yield* hub.get(`/api/v1/events/stream${query}`)
        assert.deepStrictEqual([status, body.code], [400, "INVALID_INPUT"], query)
      }
      const { status } = yield* hub.request("GET", "/api/v1/events/stream", undefined, {
        headers: { "last-event-id": "x" }
      })
      assert.strictEqual(status, 400)
    })
  )

  it.live("has only the channels and topics that are asked for", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const one = yield* makeTopic(hub, "one")
      const two = yield* makeTopic(hub, "two")
      const three = yield* makeTopic(hub, "three")
      const byTopic = yield* listen(hub, `?topic_id=${one.topic}`)
      const byBoth = yield* listen(
        hub,
        `?channel_id=${two.channel}&topic_id=${three.topic}&topic_id=${one.topic}`
      )
      const posted: Array<number> = []
      for (const { topic } of [one, two, three, one]) posted.push(yield* post(hub, topic))
      const last = posted.at(-1) ?? 0
      yield* byTopic.reaches(last)
      yield* byBoth.reaches(last)
      assert.deepStrictEqual(idsOf(byTopic), [2, 7, 10])
      assert.deepStrictEqual(idsOf(byBoth), [2, 3, 4, 6, 7, 8, 9, 10])
    })
  )

  it.live("leaves no gap and no overlap for one who comes back while others write", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const last = 2 + 3 * 50
      const writing = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3], () => Effect.forEach(upTo(50), () => post(hub, topic), { discard: true }), {
          concurrency: 3,
          discard: true
        })
      )
      const seen: Array<number> = []
      while ((seen.at(-1) ?? 0) < last) {
        const after = seen.at(-1) ?? 0
        yield* Effect.gen(function* () {
          const client = yield* listen(hub, "", after === 0 ? {} : { "last-event-id": String(after) })
          yield* client.reaches(Math.min(last, after + 1 + ((after * 7) % 23)))
          seen.push(...idsOf(client))
        }).pipe(Effect.scoped)
      }
      yield* Fiber.join(writing)
      assert.deepStrictEqual(seen, upTo(last))
    })
  )

  it.live("leaves half of the places to those who have the token", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ live: { maxSockets: 5 } })
      const status = (query = "", headers: Record<string, string> = {}) =>
        Effect.map(listen(hub, query, headers), ({ head }) => head.statusCode)
      // As many as may be without it, and one more.
      const without = yield* Effect.forEach([1, 2, 3, 4], () => status())
      assert.deepStrictEqual(without, [200, 200, 200, 503])
      assert.strictEqual(yield* status("", { authorization: `Bearer ${hub.token}` }), 200)
      assert.strictEqual(yield* status(`?token=${hub.token}`), 200)
      assert.strictEqual(yield* status(`?token=${hub.token}`), 503)
      for (const wrong of [
        yield* status("?token=wrong"),
        yield* status("", { authorization: "Bearer no" })
      ]) {
        assert.strictEqual(wrong, 401)
      }
    })
  )

  it.live(
    "cuts a client that stops reading, and the others get everything",
    () =>
      Effect.gen(function* () {
        const hub = yield* startHub({ live: { maxBuffered: 256 * 1024 } })
        const { topic } = yield* makeTopic(hub)
        const slow = yield* listen(hub)
        const quick = yield* listen(hub)
        yield* slow.reaches(2)
        slow.head.pause()
        const open = Effect.promise(async () => {
          const text = await (await fetch(`${hub.url}/metrics`)).text()
          return text.match(/^agentlip_sockets (.*)$/m)?.[1]
        })
        assert.strictEqual(yield* open, "2")
        const content = "x".repeat(60 * 1024)
        let last = 2
        while ((yield* open) !== "1") {
          last = yield* post(hub, topic, content)
          assert.isBelow(last, 2000)
          yield* quick.reaches(last)
        }
        slow.head.resume()
        assert.isFalse(yield* slow.ended)
        assert.isBelow(idsOf(slow).length, last)
        assert.deepStrictEqual(idsOf(slow), upTo(idsOf(slow).length))
        assert.deepStrictEqual(idsOf(quick), upTo(last))
      }),
    120_000
  )

  it.live("ends as a whole answer when the hub stops", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const hub = yield* startHub().pipe(Scope.provide(scope))
      yield* makeTopic(hub)
      const client = yield* listen(hub)
      yield* client.reaches(2)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(yield* client.ended)
    })
  )
})
