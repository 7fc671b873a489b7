/** Lists of any size: what a page holds, what waits in memory for those who read nothing, and who goes first. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect, type Socket } from "node:net"
import { maxPageBytes } from "../src/database/Pages.ts"
import { hubMain, type Run, run, shows } from "./hubProcess.ts"
import { onPostgres } from "./testDatabase.ts"
import {
  client,
  eventually,
  type Json,
  makeTopic,
  readServerFile,
  startHub,
  tempWorkspace,
  type TestHub
} from "./testHub.ts"

const post = (hub: Pick<TestHub, "post">, topic: string, content_raw: string, sender = "a") =>
  Effect.map(hub.post("/api/v1/messages", { topic_id: topic, sender, content_raw }), ({ status, body }) => {
    assert.strictEqual(status, 201)
    return String(body.message.id)
  })

const large = "x".repeat(64 * 1024)

const postMany = (hub: Pick<TestHub, "post">, topic: string, count: number, content = large) =>
  Effect.forEach(
    Array.from({ length: count }),
    (_, at) => post(hub, topic, `${at} ${content}`.slice(0, content.length)),
    { concurrency: 4 }
  )

/** Every page of a list; each within its bytes. */
const everyPage = Effect.fnUntraced(function* (
  hub: TestHub,
  list: string,
  path: (last: Json, soFar: ReadonlyArray<Json>) => string
) {
  const all: Array<Json> = []
  let pages = 0
  while (true) {
    const { status, body } = yield* hub.get(path(all.at(-1), all))
    assert.strictEqual(status, 200)
    pages++
    all.push(...body[list])
    assert.isAtMost(JSON.stringify(body).length, maxPageBytes + 80 * 1024)
    if (body.has_more !== true) return { all, pages }
    assert.isAbove(body[list].length, 0)
  }
})

const ascending = (ids: ReadonlyArray<string>) => assert.deepStrictEqual(ids, [...new Set(ids)].toSorted())

describe("a page", () => {
  it.live("ends where its bytes are used up, says so, and the next goes on from there", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      yield* postMany(hub, topic, 50)
      const messages = yield* everyPage(
        hub,
        "messages",
        (last) =>
          `/api/v1/messages?topic_id=${topic}&limit=1000${last === undefined ? "" : `&before_id=${last.id}`}`
      )
      assert.strictEqual(messages.all.length, 50)
      assert.isAbove(messages.pages, 3)
      ascending(messages.all.map(({ id }) => id).toReversed())
      for (const filter of ["", `&topic_id=${topic}`]) {
        const events = yield* everyPage(
          hub,
          "events",
          (last) => `/api/v1/events?limit=1000&after=${last?.event_id ?? 0}${filter}`
        )
        assert.deepStrictEqual(
          events.all.map(({ event_id }) => event_id),
          Array.from({ length: filter === "" ? 52 : 51 }, (_, at) => at + (filter === "" ? 1 : 2))
        )
        assert.isAbove(events.pages, 3)
      }
    })
  )

  it.live("of the log promises no event that is not on it", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      yield* postMany(hub, topic, 40)
      const get = (query: string) => Effect.map(hub.get(`/api/v1/events?${query}`), ({ body }) => body)
      const cut = yield* get("limit=1000")
      assert.isTrue(cut.has_more)
      // A client that knows no has_more goes on after replay_until, or after the last event: both are the same.
      assert.strictEqual(cut.replay_until, cut.events.at(-1).event_id)
      const full = yield* get("limit=3")
      assert.deepStrictEqual([full.events.length, full.has_more, full.replay_until], [3, true, 42])
      const rest = yield* get(`limit=1000&after=39`)
      assert.deepStrictEqual([rest.events.length, rest.has_more, rest.replay_until], [3, false, 42])
      // The newest are what a tail is for.
      const tail = yield* get("tail=1000")
      assert.deepStrictEqual([tail.events.at(-1).event_id, tail.has_more, tail.replay_until], [42, true, 42])
      assert.isAbove(tail.events[0].event_id, 1)
      const none = yield* get("topic_id=nowhere&tail=5")
      assert.deepStrictEqual(none, { replay_until: 42, has_more: false, events: [] })
    })
  )

  it.live("of channels, topics and attachments goes on too", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { channel, topic } = yield* makeTopic(hub)
      const description = "d".repeat(4_096)
      yield* Effect.forEach(
        Array.from({ length: 300 }),
        (_, at) => hub.post("/api/v1/channels", { name: `c${at}`, description }),
        { concurrency: 8 }
      )
      const attach = (kind: string, at: number) =>
        hub.post(`/api/v1/topics/${topic}/attachments`, { kind, value_json: { at, text: "v".repeat(8_000) } })
      yield* Effect.forEach(
        Array.from({ length: 150 }),
        (_, at) => attach(at % 3 === 0 ? "third" : "other", at),
        { concurrency: 8 }
      )
      const after = (last: Json) => (last === undefined ? "" : `after_id=${last.id}`)
      const channels = yield* everyPage(hub, "channels", (last) => `/api/v1/channels?${after(last)}`)
      assert.strictEqual(channels.all.length, 301)
      assert.isAbove(channels.pages, 1)
      ascending(channels.all.map(({ name }) => name))
      const attachments = yield* everyPage(
        hub,
        "attachments",
        (last) => `/api/v1/topics/${topic}/attachments?${after(last)}`
      )
      assert.strictEqual(attachments.all.length, 150)
      assert.isAbove(attachments.pages, 1)
      ascending(attachments.all.map(({ id }) => id).toReversed())
      const third = yield* everyPage(
        hub,
        "attachments",
        (last) => `/api/v1/topics/${topic}/attachments?kind=third&limit=7&${after(last)}`
      )
      assert.deepStrictEqual([third.all.length, third.pages], [50, 8])
      const topics = yield* everyPage(
        hub,
        "topics",
        (_, { length }) => `/api/v1/channels/${channel}/topics?offset=${length}`
      )
      assert.strictEqual(topics.all.length, 1)
    })
  )
})

describe("events of a topic or a channel", () => {
  it.live("come from all that were asked for, each once and in order, from either end", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const places = yield* Effect.forEach(["a", "b", "c"], (name) => makeTopic(hub, name))
      const [a, b, c] = places as [Json, Json, Json]
      const second = yield* hub.post("/api/v1/topics", { channel_id: a.channel, title: "second" })
      const other = String(second.body.topic.id)
      for (let at = 0; at < 30; at++) yield* post(hub, [a, b, c][at % 3].topic, `${at}`)
      const moved = yield* post(hub, a.topic, "moved")
      yield* hub.patch(`/api/v1/messages/${moved}`, { op: "move_topic", to_topic_id: other, mode: "all" })
      const get = (query: string) =>
        Effect.map(hub.get(`/api/v1/events?${query}`), ({ body }) => body.events as ReadonlyArray<Json>)
      const log = yield* get("limit=1000")
      const among = (topics: ReadonlyArray<string>, channels: ReadonlyArray<string>) =>
        log.filter(
          ({ scope }) =>
            channels.includes(scope.channel_id) ||
            topics.includes(scope.topic_id) ||
            topics.includes(scope.topic_id2)
        )
      // More than one statement looks for.
      const nobody = Array.from({ length: 100 }, (_, at) => `nobody${at}`)
      for (const [topics, channels] of [
        [[a.topic], []],
        [[other], []],
        // Both topics of an event that moved: it is there once.
        [[a.topic, other, a.topic], []],
        [[], [b.channel, c.channel]],
        [
          [other, c.topic],
          [c.channel, b.channel]
        ],
        [[...nobody, other, b.topic], []]
      ] as const) {
        const filter = [
          ...topics.map((id) => `topic_id=${id}`),
          ...channels.map((id) => `channel_id=${id}`)
        ].join("&")
        const expected = among(topics, channels)
        assert.isAbove(expected.length, 3)
        assert.deepStrictEqual(yield* get(`limit=1000&${filter}`), expected)
        assert.deepStrictEqual(yield* get(`tail=3&${filter}`), expected.slice(-3))
        const [first, ...rest] = expected
        assert.deepStrictEqual(yield* get(`limit=2&after=${first.event_id}&${filter}`), rest.slice(0, 2))
      }
    })
  )
})

/** Asks twenty times in one go and never reads. */
const asksOnly = (hub: Pick<TestHub, "url">, path: string) =>
  Effect.acquireRelease(
    Effect.callback<Socket>((resume) => {
      const { hostname, port, host } = new URL(hub.url)
      const socket = connect(Number(port), hostname, () => {
        socket.pause()
        socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(20))
        resume(Effect.succeed(socket))
      })
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** What a hub that loads heldMemory.ts holds once its garbage is collected, and its resident memory, in MiB. */
const memoryOf = Effect.fnUntraced(function* ({ process, output }: Run) {
  const said = () => [...output().matchAll(/^held ([\d.]+) resident ([\d.]+)$/gm)]
  const before = said().length
  process.kill("SIGUSR2")
  const lines = yield* eventually(Effect.sync(said), ({ length }) => length > before)
  const [, held, resident] = lines[before] ?? []
  return { held: Number(held), resident: Number(resident) }
})

describe("thirty connections that read nothing", () => {
  // `agentlip up` is on SQLite, whatever the other hubs of these tests are on.
  it.live.runIf(process.platform !== "win32" && !onPostgres)(
    "cost little memory, posts go on, and those who have the token read on",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const saysWhatItHolds = ["--expose-gc", "--import", "./hub/test/heldMemory.ts", hubMain]
        const hubRun = yield* run([...saysWhatItHolds, "up", "--workspace", workspace, "--rate-limit", "0"])
        yield* shows(hubRun, "Plugins (")
        const { host, port, auth_token } = readServerFile(workspace)
        const url = `http://${host}:${port}`
        const hub = { url, ...client(url, auth_token) }
        const { topic } = yield* makeTopic(hub)
        yield* postMany(hub, topic, 200)
        const before = yield* memoryOf(hubRun)
        const paths = ["/api/v1/events?limit=1000", `/api/v1/messages?topic_id=${topic}&limit=1000`]
        const sockets = yield* Effect.forEach(
          Array.from({ length: 30 }),
          (_, at) => asksOnly(hub, paths[at % 2] ?? ""),
          { concurrency: 30 }
        )
        const grown: Array<string> = []
        for (let at = 0; at < 12; at++) {
          yield* post(hub, topic, `while they read nothing ${at}`)
          const { status } = yield* hub.request("GET", `/api/v1/messages?limit=100&topic_id=${topic}`)
          assert.strictEqual(status, 200)
          if (at % 4 !== 3) continue
          const { held, resident } = yield* memoryOf(hubRun)
          grown.push(`${Math.round(held - before.held)}/${Math.round(resident - before.resident)}`)
          const seen = `MiB held/resident beyond ${before.held}/${before.resident}: ${grown.join(" ")}`
          // What may wait for those without the token is 24 MiB, in the hub and again in its sockets.
          assert.isBelow(held - before.held, 100, seen)
          // Resident is garbage too: how much is up to the collector. Without bounds it would be gigabytes.
          assert.isBelow(resident - before.resident, 1_000, seen)
        }
        assert.isTrue(
          sockets.every(({ destroyed }) => !destroyed),
          "all of them still wait"
        )
      }),
    120_000
  )

  it.live(
    "are cut when they have taken nothing for a while, and what waited for them is forgotten",
    () =>
      Effect.gen(function* () {
        const hub = yield* startHub({ connections: { writeTimeout: "4 seconds" } })
        const { topic } = yield* makeTopic(hub)
        yield* postMany(hub, topic, 16)
        const path = "/api/v1/events?limit=1000"
        const sockets = yield* Effect.forEach(Array.from({ length: 40 }), () => asksOnly(hub, path), {
          concurrency: 40
        })
        // More than all without the token may have waiting.
        yield* eventually(hub.get(path), ({ status, body, headers }) => {
          if (status === 200) return false
          assert.deepStrictEqual([status, body.code], [503, "SERVICE_UNAVAILABLE"])
          assert.strictEqual(headers.get("retry-after"), "1")
          return true
        })
        // Those who have the token have as much for themselves.
        assert.strictEqual((yield* hub.request("GET", path)).status, 200)
        yield* post(hub, topic, "x")
        yield* eventually(hub.get(path), ({ status }) => status === 200)
        // Those whose answers were refused have nothing to take.
        yield* eventually(
          Effect.sync(() => {
            const left = sockets.filter(({ destroyed }) => !destroyed)
            for (const socket of left) socket.write(`GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n`)
            return left.length
          }),
          (left) => left <= 20
        )
      }),
    60_000
  )

  it.live("on a connection, one answer comes after the other, however many were asked for at once", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      yield* postMany(hub, topic, 10)
      const socket = yield* asksOnly(hub, "/api/v1/events?limit=1000")
      let text = ""
      socket.on("data", (chunk) => (text += chunk.toString("latin1")))
      socket.resume()
      yield* eventually(
        Effect.sync(() => text.split("HTTP/1.1 200 OK").length - 1),
        (answers) => answers === 20
      )
    })
  )
})
