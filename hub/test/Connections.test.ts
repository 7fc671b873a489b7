/** Connections that wait for their next request, and connections that take nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect, type Socket } from "node:net"
import { eventually, makeTopic, startHub, type TestHub } from "./testHub.ts"

interface Connection {
  readonly socket: Socket
  readonly text: () => string
  readonly ask: (path: string) => void
  readonly answers: () => number
  readonly isClosed: () => boolean
}

/** A connection that is used by hand. */
const open = (hub: Pick<TestHub, "url">) =>
  Effect.acquireRelease(
    Effect.callback<Connection>((resume) => {
      const { hostname, port, host } = new URL(hub.url)
      let text = ""
      let closed = false
      const socket = connect(Number(port), hostname, () =>
        resume(
          Effect.succeed({
            socket,
            text: () => text,
            ask: (path) => void socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
            answers: () => text.split("HTTP/1.1 200 OK").length - 1,
            isClosed: () => closed
          })
        )
      )
      socket.on("data", (chunk) => (text += chunk.toString()))
      socket.on("error", () => {})
      socket.on("close", () => (closed = true))
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

const answered = ({ answers }: Connection, count: number) =>
  eventually(Effect.sync(answers), (now) => now === count)

describe("a connection that waits for its next request", () => {
  it.live("is kept for 75 seconds, as its client is told", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const connection = yield* open(hub)
      connection.ask("/health")
      yield* answered(connection, 1)
      assert.match(connection.text(), /^Keep-Alive: timeout=75\r$/im)
    })
  )

  it.live("is used again within that time, and closed after it", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ connections: { keepAlive: "2 seconds", writeTimeout: "100 millis" } })
      const connection = yield* open(hub)
      for (const asked of [1, 2, 3]) {
        connection.ask("/health")
        yield* answered(connection, asked)
        // Longer than an answer may wait to be taken: here none does.
        yield* Effect.sleep("300 millis")
        assert.isFalse(connection.isClosed())
      }
      yield* eventually(Effect.sync(connection.isClosed), (closed) => closed)
      assert.strictEqual(connection.answers(), 3)
    })
  )
})

describe("a request at the end of the time that its client was told", () => {
  const keepAlive = 1_000

  it.live("is answered", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ connections: { keepAlive } })
      let inTime = 0
      const askLate = (left: number) =>
        Effect.gen(function* () {
          const connection = yield* open(hub)
          connection.ask("/health")
          yield* answered(connection, 1)
          assert.match(connection.text(), /^Keep-Alive: timeout=1\r$/im)
          const since = performance.now()
          yield* Effect.sleep(keepAlive - left)
          // What a busy machine sends later is nothing that was promised.
          if (performance.now() - since > keepAlive) return
          inTime++
          connection.ask("/health")
          yield* answered(connection, 2)
        })
      const all = Effect.forEach([0.5, 1, 2, 5, 10, 20, 50, 100, 200, 400], askLate, {
        concurrency: "unbounded",
        discard: true
      })
      yield* eventually(
        Effect.map(Effect.scoped(all), () => inTime),
        (count) => count >= 5
      )
    })
  )
})

describe("a request to be upgraded that gets an answer instead", () => {
  it.live("is answered whole and then closed, and nothing of it is kept", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const content_raw = "x".repeat(64 * 1024)
      for (let at = 0; at < 16; at++) {
        yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw })
      }
      const { host } = new URL(hub.url)
      const lines = [`Host: ${host}`, "Connection: Upgrade", "Upgrade: websocket", "", ""]
      const request = ["GET /api/v1/events?limit=1000 HTTP/1.1", ...lines].join("\r\n")
      // Together more than may wait for those without the token.
      for (let at = 0; at < 30; at++) {
        const connection = yield* open(hub)
        connection.socket.write(request)
        yield* eventually(Effect.sync(connection.isClosed), (closed) => closed)
        assert.strictEqual(connection.answers(), 1)
        assert.isTrue(connection.text().endsWith("]}"))
      }
      assert.strictEqual((yield* hub.get("/api/v1/events?limit=1000")).status, 200)
    })
  )
})
