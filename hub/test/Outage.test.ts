/** A PostgreSQL that cannot be used, or is gone for a while. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Logger, Redacted } from "effect"
import * as net from "node:net"
import { agentlip } from "./hubProcess.ts"
import { connect, hello } from "./socketClient.ts"
import { databaseOf, onPostgres } from "./testDatabase.ts"
import { jobsOf, eventually, linkifierSpec, makeTopic, startHub, tempWorkspace } from "./testHub.ts"

/** Where a hub finds the server: a port that can be shut, with all connections through it, and opened again. */
const makeDoor = Effect.fnUntraced(function* (workspace: string) {
  const direct = new URL(Redacted.value(databaseOf(workspace).database ?? Redacted.make("")))
  const folder = direct.searchParams.get("host")
  const target =
    folder === null
      ? { host: direct.hostname, port: Number(direct.port || 5432) }
      : { path: `${folder}/.s.PGSQL.${direct.port || 5432}` }
  const open = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    const onward = net.connect(target)
    open.add(socket)
    socket.on("close", () => onward.destroy())
    onward.on("close", () => {
      open.delete(socket)
      socket.destroy()
    })
    // Either end may vanish: that is what this is for.
    socket.on("error", () => onward.destroy())
    onward.on("error", () => socket.destroy())
    socket.pipe(onward).pipe(socket)
  })
  const listen = (port: number) =>
    Effect.promise(() => new Promise<void>((done) => server.listen(port, "127.0.0.1", done)))
  const shut = Effect.promise(
    () =>
      new Promise<void>((done) => {
        server.close(() => done())
        for (const socket of open) socket.destroy()
      })
  )
  yield* Effect.acquireRelease(listen(0), () => (server.listening ? shut : Effect.void))
  const address = server.address()
  const port = typeof address === "object" ? (address?.port ?? 0) : 0
  const url = new URL(direct)
  url.searchParams.delete("host")
  url.host = `127.0.0.1:${port}`
  return { database: Redacted.make(url.href), shut, reopen: listen(port) }
})

describe.runIf(onPostgres)("a PostgreSQL that goes away", () => {
  it.live(
    "is a 503 while it is away; then all goes on by itself, and no job is lost",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const { database, shut, reopen } = yield* makeDoor(workspace)
        const began = yield* Deferred.make<void>()
        const away = yield* Deferred.make<void>()
        const slow = () =>
          Deferred.succeed(began, undefined).pipe(
            Effect.andThen(Deferred.await(away)),
            Effect.as([{ kind: "k", span: { start: 0, end: 1 }, data: {} }])
          )
        const plugins = [linkifierSpec("slow")]
        const lines: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${message}`))
        const hub = yield* startHub({ workspace, database, plugins, fakes: { slow } }).pipe(
          Effect.provide(Logger.layer([logger]))
        )
        const { topic } = yield* makeTopic(hub)
        const post = (content_raw: string) =>
          hub.post("/api/v1/messages", { topic_id: topic, sender: "ana", content_raw })
        const reader = yield* connect(hub, hello(0))
        const before = yield* post("before")
        yield* reader.reaches(before.body.event_id)
        yield* Deferred.await(began)

        yield* shut
        // The run comes to its end now, and cannot be committed.
        yield* Deferred.succeed(away, undefined)
        for (const refused of [yield* post("meanwhile"), yield* hub.get("/api/v1/channels")]) {
          assert.strictEqual(refused.status, 503)
          assert.deepInclude(refused.body, { code: "SERVICE_UNAVAILABLE" })
          assert.include(refused.body.error, "database cannot be reached")
          assert.strictEqual(refused.headers.get("retry-after"), "1")
        }
        assert.strictEqual((yield* hub.get("/health")).status, 200)

        yield* eventually(
          Effect.sync(() => lines),
          (logged) => logged.some((line) => line.includes("refuses commits"))
        )
        yield* reopen
        const after = yield* eventually(post("after"), ({ status }) => status === 201)
        for (const id of [before.body.message.id, after.body.message.id]) {
          const [{ state }] = yield* jobsOf(hub, id)
          assert.strictEqual(state, "committed")
        }
        // The log says once that jobs wait, and once that it is over, which it does after the commit.
        const commits = yield* eventually(
          Effect.sync(() => lines.filter((line) => line.includes("commits"))),
          ({ length }) => length === 2
        )
        assert.match(commits[0] ?? "", /^Error the database refuses commits.*cannot be reached/)
        assert.strictEqual(commits[1], "Info the database accepts commits again")
        const listed = yield* hub.get(`/api/v1/messages?topic_id=${topic}`)
        assert.deepStrictEqual(
          listed.body.messages.map(({ content_raw }: { content_raw: string }) => content_raw),
          ["after", "before"]
        )
        const again = yield* connect(hub, hello(0))
        yield* again.reaches(after.body.event_id)
      }),
    60_000
  )

  it.live(
    "is said at the start, with the reason and without the password",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const right = new URL(Redacted.value(databaseOf(workspace).database ?? Redacted.make("")))
        const wrong = (change: (url: URL) => void): string => {
          const url = new URL(right)
          url.password = "sekret"
          change(url)
          return url.href
        }
        const refusals: ReadonlyArray<readonly [string, RegExp]> = [
          [
            wrong((url) => (url.username = "nobody_there")),
            /role "nobody_there" does not exist; check .*password/
          ],
          [wrong((url) => (url.pathname = "/not_there")), /database not_there .*does not exist; create it/],
          [
            "postgres://u:sekret@127.0.0.1:1/x",
            /database x of 127\.0\.0\.1:1: .*ECONNREFUSED.*is the server running/
          ],
          ["mysql://u:sekret@127.0.0.1/x", /protocol.*mysql.*postgres:\/\/USER/],
          ["sekret is no URL", /the URL cannot be read/]
        ]
        yield* Effect.forEach(
          refusals,
          ([url, reason]) =>
            Effect.gen(function* () {
              const up = yield* agentlip("up", "--workspace", workspace, "--database", url)
              assert.strictEqual(yield* Effect.promise(() => up.ended), 1)
              assert.match(up.output(), reason)
              assert.notInclude(up.output(), "sekret")
              assert.notMatch(up.output(), /\n +at /)
            }),
          { discard: true }
        )
      }),
    60_000
  )
})
