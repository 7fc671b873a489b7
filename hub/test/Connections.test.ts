/** Connections that wait for their next request, and connections that take nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect, type Socket } from "node:net"
import { eventually, startHub, type TestHub } from "./testHub.ts"

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
