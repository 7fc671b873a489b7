/** A database that refuses: what clients are told, what goes on meanwhile, and that nothing is lost. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Logger } from "effect"
import { SqlError } from "effect/sql"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { storageFailure } from "../src/database/StorageFailure.ts"
import {
  jobsOf,
  eventually,
  extractorSpec,
  type Json,
  linkifierSpec,
  makeTopic,
  startHub,
  tempWorkspace,
  type TestHub
} from "./testHub.ts"
import { onPostgres } from "./testDatabase.ts"

const plugins = [linkifierSpec("shouts"), extractorSpec("tags")]
const fakes = {
  shouts: () => Effect.succeed([{ kind: "shout", span: { start: 0, end: 1 }, data: {} }]),
  tags: () => Effect.succeed([{ kind: "tag", value_json: { tag: "#a" } }])
}

const post = (hub: TestHub, topic: string, content_raw: string) =>
  hub.post("/api/v1/messages", { topic_id: topic, sender: "ana", content_raw })

/** The protocol's shape, with a reason and a time to wait. */
const isRefusal = (answer: { status: number; body: Json; headers: Headers }, reason: RegExp): void => {
  assert.strictEqual(answer.status, 503)
  assert.strictEqual(answer.body.code, "SERVICE_UNAVAILABLE")
  assert.match(answer.body.error, reason)
  assert.isAtLeast(Number(answer.headers.get("retry-after")), 1)
}

/** Posts until one is refused; answers it, and the ids of those that were not. */
const postUntilRefused = Effect.fnUntraced(function* (hub: TestHub, topic: string) {
  const ids: Array<string> = []
  for (let n = 0; n < 500; n++) {
    const answer = yield* post(hub, topic, "x".repeat(20_000))
    if (answer.status !== 201) return { answer, ids }
    ids.push(String(answer.body.message.id))
  }
  return yield* Effect.die("nothing was refused")
})

const readsWork = Effect.fnUntraced(function* (hub: TestHub, topic: string, messages: number) {
  const listed = yield* hub.get(`/api/v1/messages?topic_id=${topic}&limit=1000`)
  assert.strictEqual(listed.body.messages.length, messages)
  assert.strictEqual((yield* hub.get("/api/v1/events?limit=1000")).status, 200)
  assert.strictEqual((yield* hub.get("/health")).body.status, "ok")
})

/** Every message has its one event and the rows of both plugins, which were asked once. */
const nothingIsLost = Effect.fnUntraced(function* (hub: TestHub, ids: ReadonlyArray<string>) {
  yield* eventually(
    hub.rows(`SELECT (SELECT count(*) FROM outbox)
      + (SELECT count(*) FROM derivations WHERE state = 'pending') AS n`),
    ([row]) => row.n === 0
  )
  const jobs = yield* hub.rows(
    "SELECT state, count(*) AS n, max(attempts) AS most FROM derivations GROUP BY 1"
  )
  assert.deepStrictEqual(
    jobs.map(({ state, n, most }) => [state, n, most]),
    [["committed", 2 * ids.length, 1]]
  )
  const created = yield* hub.rows(
    "SELECT entity_id FROM events WHERE name = 'message.created' ORDER BY event_id"
  )
  assert.deepStrictEqual(
    created.map(({ entity_id }) => String(entity_id)),
    [...ids]
  )
})

const canMount =
  process.getuid?.() === 0 && spawnSync("unshare", ["--mount", "true"]).status === 0 && fs.existsSync("/proc")

/** A disk of so many KiB, gone with the scope. */
const smallDisk = (kib: number) =>
  Effect.acquireRelease(
    Effect.tap(tempWorkspace, (folder) =>
      Effect.sync(() => execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", folder]))
    ),
    (folder) => Effect.sync(() => execFileSync("umount", ["--lazy", folder]))
  )

describe("The log", () => {
  it.live.skipIf(onPostgres)(
    "says once that requests are refused, and once that they are accepted again",
    () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make(({ message }) => void lines.push(String(message)))
        const hub = yield* startHub().pipe(Effect.provide(Logger.layer([logger])))
        const { topic } = yield* makeTopic(hub)
        const post = hub.post("/api/v1/messages", {
          topic_id: topic,
          sender: "ada",
          content_raw: "x".repeat(60_000)
        })
        yield* hub.rows("PRAGMA max_page_count = 1")
        for (const _ of [1, 2]) assert.strictEqual((yield* post).status, 503)
        assert.strictEqual((yield* hub.get("/api/v1/channels")).status, 200)
        const about = () => lines.filter((line) => line.startsWith("request"))
        assert.deepStrictEqual(about(), ["request refused: The disk of the hub's database is full"])
        yield* hub.rows("PRAGMA max_page_count = 1000000")
        for (const _ of [1, 2]) assert.strictEqual((yield* post).status, 201)
        assert.deepStrictEqual(about().slice(1), ["requests are accepted again"])
      })
  )
})

describe("What the database says", () => {
  const of = (cause: object) =>
    storageFailure(
      Cause.die(
        new SqlError.SqlError({
          reason: new SqlError.UnknownError({ cause: Object.assign(new Error("it failed"), cause) })
        })
      )
    )?.text

  it("is told from what is the fault of a statement, on SQLite and on PostgreSQL", () => {
    // SQLITE_FULL, SQLITE_READONLY_DBMOVED, SQLITE_IOERR_WRITE, SQLITE_CORRUPT_INDEX
    assert.match(of({ errcode: 13 }) ?? "", /full/)
    assert.match(of({ errcode: 1032 }) ?? "", /read-only/)
    assert.match(of({ errcode: 778 }) ?? "", /fails/)
    assert.match(of({ errcode: 779 }) ?? "", /damaged/)
    assert.match(of({ code: "53100" }) ?? "", /full/)
    assert.match(of({ code: "XX001" }) ?? "", /damaged/)
    // SQLITE_ERROR, SQLITE_CONSTRAINT_TRIGGER, undefined_table
    assert.isUndefined(of({ errcode: 1 }))
    assert.isUndefined(of({ errcode: 1811 }))
    assert.isUndefined(of({ code: "42P01" }))
  })
})

describe("A full disk", () => {
  it.live(
    "refuses posts with the reason, reads go on, and all goes on when there is room",
    () =>
      Effect.gen(function* () {
        const hub = yield* startHub({ plugins, fakes })
        const { topic } = yield* makeTopic(hub)
        const [{ page_count }] = yield* hub.rows("PRAGMA page_count")
        yield* hub.rows(`PRAGMA max_page_count = ${page_count + 100}`)
        const { answer, ids } = yield* postUntilRefused(hub, topic)
        isRefusal(answer, /disk .* is full/)
        isRefusal(yield* post(hub, topic, "x".repeat(60_000)), /full/)
        yield* readsWork(hub, topic, ids.length)
        // Longer than the rest between two tries to commit.
        yield* Effect.sleep("2500 millis")
        yield* hub.rows("PRAGMA max_page_count = 1000000")
        const later = yield* post(hub, topic, "there is room")
        assert.strictEqual(later.status, 201)
        yield* nothingIsLost(hub, [...ids, later.body.message.id])
      }),
    60_000
  )

  it.live.skipIf(!canMount)(
    "does so on a disk that is really full, and the next start finds all there",
    () =>
      Effect.gen(function* () {
        const workspace = yield* smallDisk(5_000)
        const ids = yield* Effect.scoped(
          Effect.gen(function* () {
            const hub = yield* startHub({ workspace, plugins, fakes })
            const { topic } = yield* makeTopic(hub)
            const ballast = path.join(workspace, "ballast")
            fs.writeFileSync(ballast, Buffer.alloc(3_000_000))
            const { answer, ids } = yield* postUntilRefused(hub, topic)
            isRefusal(answer, /disk/)
            yield* readsWork(hub, topic, ids.length)
            fs.rmSync(ballast)
            const later = yield* post(hub, topic, "there is room")
            assert.strictEqual(later.status, 201)
            yield* nothingIsLost(hub, [...ids, later.body.message.id])
            return [...ids, String(later.body.message.id)]
          })
        )
        const hub = yield* startHub({ workspace, plugins, fakes })
        yield* nothingIsLost(hub, ids)
        assert.strictEqual((yield* hub.rows("PRAGMA integrity_check"))[0].integrity_check, "ok")
      }),
    60_000
  )
})

const lock = `
  const { DatabaseSync } = require("node:sqlite")
  const db = new DatabaseSync(process.argv[1], { timeout: 5_000 })
  db.exec("BEGIN IMMEDIATE")
  console.log("locked")
  setInterval(() => {}, 60_000)`

/** Another process's write lock, until the scope ends. */
const lockedByAnother = (workspace: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const file = path.join(workspace, ".agentlip", "db.sqlite3")
      const other = spawn(process.execPath, ["-e", lock, file], { stdio: ["ignore", "pipe", "inherit"] })
      await once(other.stdout, "data")
      return other
    }),
    (other) =>
      Effect.promise(async () => {
        const gone = once(other, "exit")
        other.kill("SIGKILL")
        await gone
      })
  )

const timed = <A>(effect: Effect.Effect<A>): Effect.Effect<readonly [millis: number, A]> =>
  Effect.suspend(() => {
    const begun = performance.now()
    return Effect.map(effect, (value) => [performance.now() - begun, value] as const)
  })

describe("A database that another process has locked", () => {
  it.live(
    "refuses a post after five seconds and nothing is half-done; nobody who reads is held up",
    () =>
      Effect.gen(function* () {
        const hub = yield* startHub({ plugins, fakes })
        const { topic } = yield* makeTopic(hub)
        const first = String((yield* post(hub, topic, "before")).body.message.id)
        yield* jobsOf(hub, first)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* lockedByAnother(hub.workspace)
            const posting = yield* Effect.forkChild(timed(post(hub, topic, "meanwhile")))
            for (let n = 0; n < 50; n++) {
              const [millis] = yield* timed(readsWork(hub, topic, 1))
              // Held up it would be as long as the post.
              assert.isBelow(millis, 4_000)
              yield* Effect.sleep(20)
            }
            const [millis, answer] = yield* Fiber.join(posting)
            isRefusal(answer, /locked by another process/)
            assert.isAbove(millis, 4_500)
          })
        )
        const later = yield* post(hub, topic, "after")
        yield* nothingIsLost(hub, [first, later.body.message.id])
      }),
    60_000
  )

  it.live(
    "lets a post wait for a lock that ends in time",
    () =>
      Effect.gen(function* () {
        const hub = yield* startHub({ plugins, fakes })
        const { topic } = yield* makeTopic(hub)
        const posting = yield* Effect.scoped(
          Effect.gen(function* () {
            yield* lockedByAnother(hub.workspace)
            const posting = yield* Effect.forkDetach(post(hub, topic, "waits"))
            yield* Effect.sleep(300)
            assert.lengthOf(yield* hub.rows("SELECT 1 FROM messages"), 0)
            return posting
          })
        )
        const [millis, { status, body }] = yield* timed(Fiber.join(posting))
        assert.strictEqual(status, 201)
        assert.isBelow(millis, 4_500)
        yield* nothingIsLost(hub, [body.message.id])
      }),
    60_000
  )
})
