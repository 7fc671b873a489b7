import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { connect, hello, refused } from "./socketClient.ts"
import { eventually, type Json, makeTopic, startHub, type TestHub } from "./testHub.ts"

const post = (hub: TestHub, topic: string, content_raw = "x") =>
  Effect.map(
    hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw }),
    ({ status, body }) => {
      assert.strictEqual(status, 201)
      return { event: Number(body.event_id), message: String(body.message.id) }
    }
  )

/** All that the log has, as a socket is to send it. */
const logged = (hub: TestHub) =>
  Effect.map(hub.get("/api/v1/events?limit=1000"), ({ body }) =>
    body.events.map(({ data_json, ...event }: Json) => ({ type: "event", ...event, data: data_json }))
  )

const upTo = (last: number) => Array.from({ length: last }, (_, at) => at + 1)

const closedWith = (hub: TestHub, code: number) =>
  Effect.promise(async () => {
    const text = await (await fetch(`${hub.url}/metrics`)).text()
    return text.includes(`agentlip_sockets_closed_total{code="${code}"}`)
  })

describe("GET /ws", () => {
  it.live("refuses before the upgrade whoever has not the token, and never says it", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const wrong = "f".repeat(64)
      for (const [query, code] of [
        ["", "MISSING_AUTH"],
        ["?token=", "MISSING_AUTH"],
        [`?token=${wrong}`, "INVALID_AUTH"],
        [`?token=${hub.token}0`, "INVALID_AUTH"],
        [`?token=${hub.token}&token=${hub.token}`, "MISSING_AUTH"]
      ] as const) {
        const { status, text } = yield* refused(hub, query)
        assert.strictEqual(status, 401)
        assert.strictEqual(JSON.parse(text).code, code)
        assert.isString(JSON.parse(text).error)
        assert.notInclude(text, hub.token)
        assert.notInclude(text, wrong)
      }
      const plain = yield* hub.get(`/ws?token=${hub.token}`)
      assert.deepStrictEqual([plain.status, plain.body.code], [400, "INVALID_INPUT"])
      assert.notInclude(JSON.stringify(plain.body), hub.token)
    })
  )

  it.live("answers hello, replays what was missed, then goes on live with what the log says", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      yield* post(hub, topic)
      const { event } = yield* post(hub, topic)
      const client = yield* connect(hub, hello(1))
      yield* client.reaches(event)
      const last = yield* post(hub, topic, "live")
      yield* client.reaches(last.event)
      const { body } = yield* hub.get("/health")
      const [first, ...events] = client.frames
      assert.deepStrictEqual(first, {
        type: "hello_ok",
        replay_until: event,
        instance_id: body.instance_id
      })
      assert.deepStrictEqual(events, (yield* logged(hub)).slice(1))
    })
  )

  it.live("replays more than a page, and takes a number from the future for the newest", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      let last = 0
      for (let at = 0; at < 150; at++) last = (yield* post(hub, topic)).event
      const all = yield* connect(hub, hello(0))
      const ahead = yield* connect(hub, hello(last + 1000))
      yield* all.reaches(last)
      yield* eventually(
        Effect.sync(() => ahead.frames.length),
        (count) => count === 1
      )
      const { event } = yield* post(hub, topic)
      yield* all.reaches(event)
      yield* ahead.reaches(event)
      assert.deepStrictEqual(all.ids(), upTo(event))
      assert.deepStrictEqual(ahead.ids(), [event])
    })
  )

  it.live("sends what is subscribed to, of the log and live", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const one = yield* makeTopic(hub, "one")
      const two = yield* makeTopic(hub, "two")
      const other = String(
        (yield* hub.post("/api/v1/topics", { channel_id: one.channel, title: "other" })).body.topic.id
      )
      const changes = Effect.gen(function* () {
        const { message } = yield* post(hub, one.topic)
        yield* post(hub, two.topic)
        yield* hub.patch(`/api/v1/messages/${message}`, { op: "move_topic", to_topic_id: other, mode: "one" })
      })
      yield* changes
      const subscriptions: ReadonlyArray<Json> = [
        undefined,
        {},
        { channels: [], topics: [] },
        { channels: [one.channel] },
        { topics: [one.topic] },
        { topics: [other] },
        { channels: [two.channel], topics: [other] }
      ]
      const clients = yield* Effect.forEach(subscriptions, (wanted) => connect(hub, hello(0, wanted)))
      for (const { frames } of clients) {
        yield* eventually(
          Effect.sync(() => frames[0]?.type),
          (type) => type === "hello_ok"
        )
      }
      yield* changes
      const log: ReadonlyArray<Json> = yield* logged(hub)
      const last = log.length
      for (const [at, client] of clients.entries()) {
        const wanted = subscriptions[at]
        const expected = log.filter(
          ({ scope }) =>
            wanted === undefined ||
            wanted.channels?.includes(scope.channel_id) ||
            wanted.topics?.includes(scope.topic_id) ||
            wanted.topics?.includes(scope.topic_id2)
        )
        // A move is the last change of all, and none but these three does without it.
        if (expected.length > 0) yield* client.reaches(expected.at(-1).event_id)
        assert.deepStrictEqual(client.frames.slice(1), expected, JSON.stringify(wanted))
        assert.strictEqual(expected.length === 0, at === 1 || at === 2)
      }
      assert.strictEqual(last, 11)
    })
  )

  it.live("closes with 1003 what is not the protocol", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const wrong: ReadonlyArray<string | Buffer> = [
        "no JSON",
        "{}",
        JSON.stringify({ type: "hello" }),
        JSON.stringify(hello(-1)),
        JSON.stringify(hello(1.5)),
        JSON.stringify(hello(0, { topics: "all" })),
        Buffer.from("no JSON")
      ]
      for (const frame of wrong) {
        const client = yield* connect(hub)
        client.ws.send(frame)
        const { code, reason } = yield* client.closed
        assert.strictEqual(code, 1003, String(frame))
        assert.notInclude(reason, hub.token)
      }
      const twice = yield* connect(hub, hello(0))
      yield* eventually(
        Effect.sync(() => twice.frames.length),
        (count) => count > 0
      )
      twice.ws.send(JSON.stringify(hello(0)))
      assert.strictEqual((yield* twice.closed).code, 1003)
    })
  )

  it.live("closes with 1009 a frame over 256 KiB, and takes one that is as large", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const text = JSON.stringify(hello(0))
      const fits = yield* connect(hub)
      fits.ws.send(text.padEnd(256 * 1024))
      yield* eventually(
        Effect.sync(() => fits.frames.length),
        (count) => count > 0
      )
      const large = yield* connect(hub)
      large.ws.send(text.padEnd(256 * 1024 + 1))
      assert.strictEqual((yield* large.closed).code, 1009)
      const later = yield* connect(hub, hello(0))
      yield* eventually(
        Effect.sync(() => later.frames.length),
        (count) => count > 0
      )
      later.ws.send(text.padEnd(300 * 1024))
      assert.strictEqual((yield* later.closed).code, 1009)
    })
  )

  it.live("closes with 1011 when the log cannot be read", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      yield* hub.rows("ALTER TABLE events RENAME TO gone")
      const client = yield* connect(hub, hello(0))
      assert.deepStrictEqual(yield* client.closed, { code: 1011, reason: "internal error" })
    })
  )

  it.live("has so many sockets and no more, until one is closed", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ live: { maxSockets: 2 } })
      const query = `?token=${hub.token}`
      const first = yield* connect(hub, hello(0))
      yield* connect(hub)
      const { status, text } = yield* refused(hub, query)
      assert.strictEqual(status, 503)
      assert.strictEqual(JSON.parse(text).code, "SERVICE_UNAVAILABLE")
      assert.notInclude(text, hub.token)
      assert.strictEqual((yield* refused(hub, "")).status, 401)
      const stream = yield* hub.get("/api/v1/events/stream")
      assert.deepStrictEqual([stream.status, stream.body.code], [503, "SERVICE_UNAVAILABLE"])
      first.ws.close()
      yield* first.closed
      yield* eventually(
        Effect.promise(
          async () =>
            (await (await fetch(`${hub.url}/metrics`)).text()).match(/^agentlip_sockets (.*)$/m)?.[1]
        ),
        (open) => open === "1"
      )
      const next = yield* connect(hub, hello(0))
      yield* eventually(
        Effect.sync(() => next.frames.length),
        (count) => count > 0
      )
    })
  )

  it.live("leaves no gap and no overlap, however many write and wherever clients come back", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      let seed = 7
      const random = (below: number) => {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
        return Math.floor((seed / 2_147_483_648) * below)
      }
      const writers = 4
      const each = 60
      const last = 2 + writers * each
      const writing = Effect.forEach(
        upTo(writers),
        () => Effect.forEach(upTo(each), () => post(hub, topic), { discard: true }),
        { concurrency: writers, discard: true }
      )
      const stays = yield* connect(hub, hello(0))
      const comesBack = Effect.gen(function* () {
        const seen: Array<number> = []
        while ((seen.at(-1) ?? 0) < last) {
          const after = seen.at(-1) ?? 0
          const until = Math.min(last, after + 1 + random(40))
          yield* Effect.gen(function* () {
            const client = yield* connect(hub, hello(after))
            yield* client.reaches(until)
            seen.push(...client.ids())
          }).pipe(Effect.scoped)
        }
        return seen
      })
      const [, ...seen] = yield* Effect.all([writing, comesBack, comesBack, comesBack], {
        concurrency: "unbounded"
      })
      yield* stays.reaches(last)
      for (const ids of [stays.ids(), ...seen]) assert.deepStrictEqual(ids, upTo(last))
      assert.deepStrictEqual(stays.frames.slice(1), yield* logged(hub))
    })
  )

  it.live(
    "cuts a client that stops reading with 1008, and the others get everything",
    () =>
      Effect.gen(function* () {
        const hub = yield* startHub({ live: { maxBuffered: 256 * 1024 } })
        const { topic } = yield* makeTopic(hub)
        const slow = yield* connect(hub, hello(0))
        const quick = yield* connect(hub, hello(0))
        yield* slow.reaches(2)
        slow.ws.pause()
        const content = "x".repeat(60 * 1024)
        let last = 2
        // What the system holds for a socket differs; the hub's own part is small.
        while (!(yield* closedWith(hub, 1008))) {
          last = (yield* post(hub, topic, content)).event
          assert.isBelow(last, 2000)
          // It keeps up: what waits for it is sent before more is posted.
          yield* quick.reaches(last)
        }
        slow.ws.resume()
        assert.deepStrictEqual(yield* slow.closed, { code: 1008, reason: "backpressure" })
        assert.isBelow(slow.ids().length, last)
        assert.deepStrictEqual(slow.ids(), upTo(slow.ids().length))
        assert.deepStrictEqual(quick.ids(), upTo(last))
        const again = yield* connect(hub, hello(slow.ids().length))
        yield* again.reaches(last)
        assert.deepStrictEqual([...slow.ids(), ...again.ids()], upTo(last))
      }),
    120_000
  )

  it.live(
    "says 1001 to every client when the hub stops, also to those that said nothing or read nothing",
    () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const hub = yield* startHub().pipe(Scope.provide(scope))
        const said = yield* connect(hub, hello(0))
        const silent = yield* connect(hub)
        const nothing = yield* connect(hub, hello(0, {}))
        const deaf = yield* connect(hub, hello(0))
        for (const { frames } of [said, nothing, deaf]) {
          yield* eventually(
            Effect.sync(() => frames.length),
            (count) => count > 0
          )
        }
        deaf.ws.pause()
        yield* Scope.close(scope, Exit.void)
        for (const client of [said, silent, nothing]) {
          assert.deepStrictEqual(yield* client.closed, { code: 1001, reason: "shutting down" })
        }
        deaf.ws.resume()
        assert.strictEqual((yield* deaf.closed).code, 1001)
      })
  )
})
