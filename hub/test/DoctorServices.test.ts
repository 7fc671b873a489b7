import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { once } from "node:events"
import * as net from "node:net"
import { serviceChecks } from "../src/cli/commands/doctor/services.ts"
import { databaseOf, onPostgres } from "./testDatabase.ts"
import { startHub, tempWorkspace } from "./testHub.ts"

const look = (urls: { readonly database?: Redacted.Redacted; readonly redis?: string }) =>
  serviceChecks({
    database: Option.fromUndefinedOr(urls.database),
    redis: Option.map(Option.fromUndefinedOr(urls.redis), Redacted.make)
  })

/** A server whose clients get these replies, one for each chunk that they send. */
const server = (reply: (chunk: string) => string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sockets = new Set<net.Socket>()
      const server = net.createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        socket.on("data", (chunk) => socket.write(reply(chunk.toString())))
      })
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      const address = server.address()
      return { server, sockets, port: typeof address === "object" ? (address?.port ?? 0) : 0 }
    }),
    ({ server, sockets }) =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  )

/** Nothing listens there. */
const closedPort = Effect.scoped(
  Effect.map(
    server(() => ""),
    ({ port }) => port
  )
)

describe("agentlip doctor", () => {
  it.live("looks at no server that the hub is not configured for", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* look({}), [])
    })
  )

  it.live("names servers that cannot be reached, with a remedy and without passwords", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      const checks = yield* look({
        database: Redacted.make(`postgres://me:hidden@127.0.0.1:${port}/chat`),
        redis: `redis://me:hidden@127.0.0.1:${port}`
      })
      assert.deepStrictEqual(
        checks.map(({ name, status }) => [name, status]),
        [
          ["postgresql", "problem"],
          ["redis", "problem"]
        ]
      )
      for (const { message, remedy } of checks) {
        assert.match(message, /ECONNREFUSED|refused|connect/i)
        assert.match(remedy ?? "", /start the server/)
        assert.notInclude(message, "hidden")
      }
    })
  )

  it.live("names URLs that are none", () =>
    Effect.gen(function* () {
      const checks = yield* look({ database: Redacted.make("nonsense"), redis: "nonsense" })
      assert.deepStrictEqual(
        checks.map(({ status }) => status),
        ["problem", "problem"]
      )
    })
  )

  it.live("tells the version of Redis and how long it takes", () =>
    Effect.gen(function* () {
      const info = "# Server\r\nredis_version:7.9.1\r\n"
      const { port } = yield* server((chunk) =>
        /\bINFO\b/i.test(chunk)
          ? `$${info.length}\r\n${info}\r\n`
          : /\bPING\b/i.test(chunk)
            ? "+PONG\r\n"
            : (chunk
                .match(/^\*\d/gm)
                ?.map(() => "+OK\r\n")
                .join("") ?? "")
      )
      const [check] = yield* look({ redis: `redis://127.0.0.1:${port}` })
      assert.match(check?.message ?? "", /^version 7\.9\.1, answers in [\d.]+ ms$/)
    })
  )

  it.live.skipIf(!onPostgres)("tells version, tables and hubs of PostgreSQL, and changes nothing", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const { database = Redacted.make("") } = databaseOf(workspace)
      const [before] = yield* look({ database })
      assert.include(before?.message, "no tables yet")
      yield* startHub({ workspace })
      const [after] = yield* look({ database })
      assert.match(
        after?.message ?? "",
        /^version \d+.*; tables of version \d+, 1 hubs, oldest pending job 0 s$/
      )
    })
  )
})
