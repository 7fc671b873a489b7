/** `agentlip prune`: beside a running hub, and without one. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { emptyLog } from "../src/database/emptyLog.ts"
import * as Sqlite from "../src/database/Sqlite.ts"
import { makeReady, requireRoom, rewrite } from "../src/database/Vacuum.ts"
import { commandsOf } from "./cli.ts"
import { agentlip, type Run, shows } from "./hubProcess.ts"
import { type Json, makeTopic, rowsOf, startHub, tempWorkspace } from "./testHub.ts"
import { databaseOf, onPostgres } from "./testDatabase.ts"

const scene = Effect.fnUntraced(function* (workspace: string, posts: number) {
  const hub = yield* startHub({ workspace })
  const { topic } = yield* makeTopic(hub)
  const content_raw = "long ".repeat(2_000)
  const body = { topic_id: topic, sender: "ada", content_raw }
  yield* Effect.repeat(hub.post("/api/v1/messages", body), { times: posts - 1 })
  return hub
})

describe("agentlip prune", () => {
  it.live("counts, removes and waits, beside a running hub", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const hub = yield* scene(workspace, 10)
      const run = commandsOf(workspace)
      const dry = yield* run("prune", "--keep-events", "4", "--dry-run")
      assert.strictEqual(
        dry.out,
        "Would remove 8 events, 0 jobs, 0 cached outputs and 0 backfills. Nothing was removed.\n"
      )
      const done = yield* run("prune", "--keep-events", "4")
      assert.strictEqual(
        done.out,
        "Removed 8 events, 0 jobs, 0 cached outputs and 0 backfills. Events up to 8 are gone.\n"
      )
      const { body } = yield* hub.get("/api/v1/events?after=0")
      assert.deepStrictEqual(
        body.events.map(({ event_id }: Json) => event_id),
        [9, 10, 11, 12]
      )
      const none = yield* run("prune", "--older-than", "30d", "--json")
      assert.deepInclude(none.json.removed, { events: 0, jobs: 0 })
      const locked = yield* run("prune", "--older-than", "30d", "--vacuum")
      assert.strictEqual(locked.code, 10)
      assert.match(locked.err, /Stop the hub first: .* down/)
    })
  )

  it.live("removes nothing without a bound, and takes that of the config file", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const hub = yield* scene(workspace, 3)
      const run = commandsOf(workspace)
      const refused = yield* run("prune")
      assert.strictEqual(refused.code, 1)
      assert.include(refused.err, "Pass --older-than, --keep-events or both")
      for (const age of ["30", "soon", "-1d", "1 fortnight"]) {
        const { code, err } = yield* run("prune", `--older-than=${age}`)
        assert.strictEqual(code, 1, age)
        assert.include(err, 'expected an age such as 30d, 12h or "2 weeks"', age)
      }
      for (const age of ["1s", "2 weeks", "1 day", "12h"])
        assert.strictEqual((yield* run("prune", "--older-than", age, "--dry-run")).code, 0, age)
      fs.writeFileSync(
        path.join(workspace, "agentlip.config.ts"),
        `export default { retention: { olderThan: 0.001, keepEvents: 1 } }`
      )
      const done = yield* run("prune", "--json")
      assert.deepInclude(done.json, { keep_events: 1, pruned_until: 4 })
      assert.lengthOf((yield* hub.get("/api/v1/events")).body.events, 1)
    })
  )

  it.live("works without a hub", () =>
    Effect.gen(function* () {
      if (onPostgres) return
      const workspace = yield* tempWorkspace
      const run = commandsOf(workspace)
      const missing = yield* run("prune", "--keep-events", "4")
      assert.strictEqual(missing.code, 1)
      assert.include(missing.err, "has no database")
      yield* Effect.scoped(scene(workspace, 40))
      const file = path.join(workspace, ".agentlip", "db.sqlite3")
      const before = fs.statSync(file).size
      const look = yield* run("prune", "--vacuum", "--dry-run")
      assert.include(look.out, "Nothing was changed.")
      const done = yield* run("prune", "--keep-events", "1", "--vacuum", "--json")
      assert.include(done.err, "Ctrl-C does not stop it")
      assert.deepInclude(done.json.removed, { events: 41 })
      assert.isBelow(done.json.file.after, before)
      assert.strictEqual(fs.statSync(file).size, done.json.file.after)
      const rows = yield* rowsOf(workspace)
      assert.lengthOf(yield* rows("SELECT id FROM messages"), 40)
      // Numbers go on where they were.
      const hub = yield* startHub({ workspace })
      const { body } = yield* hub.post("/api/v1/channels", { name: "later" })
      assert.strictEqual(body.event_id, 43)
    })
  )
})

describe.skipIf(onPostgres)(
  "agentlip prune --vacuum beside others that use the file",
  { timeout: 60_000 },
  () => {
    /** A workspace whose hub has stopped, and the path of its file. */
    const stopped = Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      yield* Effect.scoped(scene(workspace, 5))
      return { workspace, file: path.join(workspace, ".agentlip", "db.sqlite3") }
    })

    const connect = (file: string) =>
      Effect.acquireRelease(
        // The command has the write lock for a moment each time it tries to empty the log.
        Effect.sync(() => new DatabaseSync(file, { timeout: 10_000 })),
        (connection) => Effect.sync(() => connection.isOpen && connection.close())
      )

    const beginReading = Effect.fnUntraced(function* (file: string) {
      const reader = yield* connect(file)
      reader.exec("BEGIN")
      reader.prepare("SELECT count(*) FROM messages").get()
      return reader
    })

    const interrupt = ({ process }: Run): void => void process.kill("SIGINT")
    const endOf = ({ ended }: Run) => Effect.promise(() => ended)

    it.live("Ctrl-C stops it while it waits, and it says what it has done", () =>
      Effect.gen(function* () {
        const { workspace, file } = yield* stopped
        yield* beginReading(file)
        const command = yield* agentlip("prune", "--keep-events", "1", "--vacuum", "-w", workspace)
        yield* shows(command, "Waiting for others that use")
        interrupt(command)
        assert.strictEqual(yield* endOf(command), 130)
        assert.match(command.output(), /Stopped\. Removed 6 events[^]*db\.sqlite3 was not written anew\.\n$/)
        assert.notInclude(command.output(), "Writing ")
      })
    )

    it.live("fails if they do not end, and says what it has removed", () =>
      Effect.gen(function* () {
        const { workspace, file } = yield* stopped
        yield* beginReading(file)
        const command = yield* agentlip("prune", "--keep-events", "1", "--vacuum", "--json", "-w", workspace)
        assert.strictEqual(yield* endOf(command), 1)
        const document = JSON.parse(command.stdout())
        assert.strictEqual(document.code, "VACUUM_FAILED")
        assert.match(document.error, /^Removed 6 events.*db\.sqlite3 was not written anew: another process/)
        assert.deepInclude(document.details.removed, { events: 6 })
        assert.notInclude(command.output(), "Writing ")
        assert.notInclude(command.output(), "cannot be used")
      })
    )

    it.live("fails too if one of them writes", () =>
      Effect.gen(function* () {
        const { workspace, file } = yield* stopped
        const reader = yield* beginReading(file)
        const writer = yield* connect(file)
        const command = yield* agentlip("prune", "--keep-events", "1", "--vacuum", "-w", workspace)
        yield* shows(command, "Waiting for others that use")
        writer.exec("BEGIN IMMEDIATE")
        reader.exec("COMMIT")
        assert.strictEqual(yield* endOf(command), 1)
        assert.match(
          command.output(),
          /Removed 6 events[^]*db\.sqlite3 was not written anew: another process/
        )
      })
    )

    it.live(
      "Ctrl-C changes nothing once it writes; a reader that began before keeps the new content in the log",
      () =>
        Effect.gen(function* () {
          const { workspace, file } = yield* stopped
          const first = yield* agentlip("prune", "--keep-events", "1", "-w", workspace)
          assert.strictEqual(yield* endOf(first), 0)
          // The log is empty, so it can be emptied, but not once the file was written anew.
          const reader = yield* beginReading(file)
          const before = fs.statSync(file).size
          const command = yield* agentlip("prune", "--vacuum", "--json", "-w", workspace)
          yield* shows(command, "Writing ")
          interrupt(command)
          assert.strictEqual(yield* endOf(command), 0, command.output())
          const written = JSON.parse(command.stdout()).file
          assert.deepStrictEqual(written, { path: file, before, after: before, in_log: true })
          assert.strictEqual(fs.statSync(file).size, before)
          reader.close()
          assert.isBelow(fs.statSync(file).size, before)
        })
    )
  }
)

describe.runIf(onPostgres)("agentlip prune on PostgreSQL", () => {
  it.live("works without a hub", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      yield* Effect.scoped(scene(workspace, 5))
      const { database } = databaseOf(workspace)
      if (database === undefined) return
      const flag = `--database=${Redacted.value(database)}`
      const run = commandsOf(workspace)
      const done = yield* run("prune", "--keep-events", "2", "--json", flag)
      assert.deepInclude(done.json.removed, { events: 5 })
      const refused = yield* run("prune", "--keep-events", "2", "--vacuum", flag)
      assert.include(refused.err, "On PostgreSQL use VACUUM FULL")
      const rows = yield* rowsOf(workspace)
      assert.lengthOf(yield* rows("SELECT event_id FROM events"), 2)
    })
  )
})

describe("A file that is written anew", () => {
  /** A file with a log, its client, and somebody who reads what it held before. */
  const scene = Effect.gen(function* () {
    const file = path.join(yield* tempWorkspace, "db.sqlite3")
    const services = yield* Layer.build(Sqlite.layer({ filename: file }))
    const sql = Context.get(services, SqlClient.SqlClient)
    yield* sql`CREATE TABLE t (text TEXT)`
    const reader = yield* Effect.acquireRelease(
      Effect.sync(() => new DatabaseSync(file)),
      (reader) => Effect.sync(() => reader.isOpen && reader.close())
    )
    const read = (): void => {
      reader.exec("BEGIN")
      reader.prepare("SELECT count(*) FROM t").get()
    }
    read()
    for (let n = 0; n < 20; n++) yield* sql`INSERT INTO t VALUES (${"x".repeat(100_000)})`
    const begin = <A, E>(work: Effect.Effect<A, E, SqlClient.SqlClient>) =>
      Effect.forkChild(Effect.provideContext(work, services), { startImmediately: true })
    return { file, sql, reader, read, begin }
  })

  it.live("waits for somebody who reads it, and then has all of its log", () =>
    Effect.gen(function* () {
      const { file, reader, begin } = yield* scene
      const ready = yield* begin(makeReady(file))
      reader.exec("COMMIT")
      const before = yield* Fiber.join(ready)
      const { bytes, inLog } = yield* Effect.flatMap(begin(rewrite(file)), Fiber.join)
      assert.isAbove(before, 2_000_000)
      assert.isAbove(bytes, 2_000_000)
      assert.isUndefined(inLog)
      assert.strictEqual(fs.statSync(`${file}-wal`).size, 0)
    })
  )

  it.effect("is not if somebody reads it for too long", () =>
    Effect.gen(function* () {
      const { file, begin } = yield* scene
      const ready = yield* begin(makeReady(file))
      yield* TestClock.adjust("10 seconds")
      const error = yield* Effect.flip(Fiber.join(ready))
      assert.strictEqual(error._tag, "VacuumFailed")
      assert.include(error.message, `${file} was not written anew: another process reads it or writes to it`)
    })
  )

  it.effect("stays in its log while somebody reads what it held before", () =>
    Effect.gen(function* () {
      const { file, sql, reader, read, begin } = yield* scene
      reader.exec("COMMIT")
      yield* sql`DELETE FROM t`
      const before = yield* Effect.flatMap(begin(makeReady(file)), Fiber.join)
      read()
      const writing = yield* begin(rewrite(file))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(writing), {
        bytes: before,
        inLog: "another process has the file open"
      })
      reader.close()
      assert.isTrue(yield* emptyLog(sql))
      assert.isBelow(fs.statSync(file).size, before)
    })
  )

  it.effect("needs room for two copies of what it holds", () =>
    Effect.gen(function* () {
      const file = path.join(yield* tempWorkspace, "db.sqlite3")
      const use = { bytes: 5 * 2 ** 20, free: 2 ** 20 }
      yield* requireRoom(file, use, () => 8 * 2 ** 20)
      const error = yield* Effect.flip(requireRoom(file, use, () => 2 ** 20))
      assert.match(error.message, /needs [48] MiB in .*, and 1 MiB are free/)
    })
  )
})
