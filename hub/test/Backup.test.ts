/** Copies of a hub's database: whole, sound, of one moment; and put back without a number given out twice. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Result } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Backup from "../src/database/Backup.ts"
import * as Restore from "../src/database/Restore.ts"
import * as Migrations from "../src/database/Migrations.ts"
import { commandsOf } from "./cli.ts"
import { agentlip } from "./hubProcess.ts"
import { type Json, linkifierSpec, makeTopic, startHub, tempWorkspace, type TestHub } from "./testHub.ts"

const rowsOf = (file: string, query: string): ReadonlyArray<Json> => {
  const db = new DatabaseSync(file)
  try {
    return db.prepare(query).all()
  } finally {
    db.close()
  }
}

const databaseOf = (workspace: string): string => path.join(workspace, ".agentlip", "db.sqlite3")

const post = (hub: TestHub, topic: string, content_raw: string) =>
  hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw })

/** A workspace whose hub has stopped, with so many messages. */
const stopped = (messages: number) =>
  Effect.gen(function* () {
    const workspace = yield* tempWorkspace
    yield* Effect.scoped(
      Effect.gen(function* () {
        const hub = yield* startHub({ workspace })
        const { topic } = yield* makeTopic(hub)
        for (let n = 0; n < messages; n++) yield* post(hub, topic, `message ${n}`)
      })
    )
    return workspace
  })

const refused = (file: string) =>
  Effect.gen(function* () {
    const workspace = yield* stopped(1)
    const before = fs.readFileSync(databaseOf(workspace))
    const error = yield* Effect.flip(Restore.restore(workspace, file))
    assert.strictEqual(error._tag, "BackupError")
    assert.include(error.message, file)
    assert.deepStrictEqual(fs.readFileSync(databaseOf(workspace)), before)
    return error.message
  })

describe("A backup", () => {
  it.live("is of one moment, while posts go on", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const acknowledged = new Set<string>()
      let stop = false
      const poster = Effect.repeat(
        Effect.map(post(hub, topic, "x".repeat(2_000)), ({ body }) => {
          acknowledged.add(body.message.id)
        }),
        { until: () => stop }
      )
      const posters = yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkChild(poster))
      while (acknowledged.size < 100) yield* Effect.sleep(5)
      for (const name of ["first", "second"]) {
        const before = [...acknowledged]
        const file = path.join(hub.workspace, name)
        const contents = yield* Backup.backup(hub.workspace, file)
        const ids = rowsOf(file, "SELECT id FROM messages").map(({ id }) => id)
        assert.includeMembers(ids, before)
        assert.deepInclude(contents, { messages: ids.length, bytes: fs.statSync(file).size })
        // Exactly one event each, none of a message that is not in it.
        const events = rowsOf(file, "SELECT entity_id FROM events WHERE name = 'message.created'")
        assert.sameMembers(
          events.map(({ entity_id }) => entity_id),
          ids
        )
        assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
      }
      stop = true
      yield* Effect.forEach(posters, Fiber.join)
      assert.sameMembers(
        fs.readdirSync(hub.workspace).filter((name) => name !== ".agentlip"),
        ["first", "second"]
      )
    })
  )

  it.live("replaces a file only when it is told to", () =>
    Effect.gen(function* () {
      const workspace = yield* stopped(3)
      const file = path.join(workspace, "copy")
      fs.writeFileSync(file, "mine")
      const error = yield* Effect.flip(Backup.backup(workspace, file))
      assert.include(error.message, "--force")
      assert.strictEqual(fs.readFileSync(file, "utf8"), "mine")
      yield* Backup.backup(workspace, file, { force: true })
      assert.lengthOf(rowsOf(file, "SELECT id FROM messages"), 3)
      assert.sameMembers(fs.readdirSync(workspace), [".agentlip", "copy"])
    })
  )

  it.live("says what is missing: a database, a folder to write to", () =>
    Effect.gen(function* () {
      const empty = yield* tempWorkspace
      const none = yield* Effect.flip(Backup.backup(empty, path.join(empty, "copy")))
      assert.include(none.message, databaseOf(empty))
      assert.include(none.message, "no such file")
      assert.deepStrictEqual(fs.readdirSync(empty), [])
      const workspace = yield* stopped(1)
      const error = yield* Effect.flip(Backup.backup(workspace, path.join(workspace, "no", "copy")))
      assert.strictEqual(error._tag, "BackupError")
    })
  )
})

describe("On the command line", () => {
  it.live(
    "backup and restore say what they did, and refuse with an exit code",
    () =>
      Effect.gen(function* () {
        const workspace = yield* stopped(2)
        const file = path.join(workspace, "copy")
        const ends = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
          const { ended, output } = yield* agentlip(...args, "--workspace", workspace)
          return { code: yield* Effect.promise(() => ended), output: output() }
        })
        const made = yield* ends("backup", file)
        assert.strictEqual(made.code, 0)
        assert.include(made.output, "2 messages")
        const again = yield* ends("backup", file)
        assert.strictEqual(again.code, 1)
        assert.include(again.output, "--force")
        const restored = yield* ends("restore", file, "--json")
        assert.strictEqual(restored.code, 0)
        assert.deepInclude(JSON.parse(restored.output), { file, messages: 2 })
        yield* startHub({ workspace })
        const locked = yield* ends("restore", file)
        assert.strictEqual(locked.code, 10)
        assert.include(locked.output, "already runs")
      }),
    60_000
  )
})

describe("On PostgreSQL", () => {
  it.live("backup and restore refuse and name the tool, whatever SQLite file lies in the workspace", () =>
    Effect.gen(function* () {
      const workspace = yield* stopped(1)
      const file = path.join(workspace, "copy")
      yield* Backup.backup(workspace, file)
      const run = commandsOf(workspace)
      const refused = Effect.fnUntraced(function* (why: string) {
        for (const [command, tool] of [
          ["backup", "pg_dump"],
          ["restore", "pg_restore"]
        ] as const) {
          const { code, err } = yield* run(command, command === "backup" ? `${file}2` : file)
          assert.strictEqual(code, 1)
          assert.include(err, tool)
          assert.include(err, why)
        }
        assert.isFalse(fs.existsSync(`${file}2`))
      })
      const env = ConfigProvider.fromUnknown({ AGENTLIP_DATABASE: "postgres://somewhere/agentlip" })
      yield* Effect.provideService(refused("AGENTLIP_DATABASE"), ConfigProvider.ConfigProvider, env)
      const server = {
        instance_id: "i",
        db_id: "d",
        host: "127.0.0.1",
        port: 1,
        auth_token: "t",
        pid: 1,
        started_at: "then",
        database: "postgresql"
      }
      const serverFile = path.join(workspace, ".agentlip", "server.json")
      fs.writeFileSync(serverFile, JSON.stringify(server), { mode: 0o600 })
      yield* refused("the hub of this workspace")
      fs.rmSync(serverFile)
      assert.strictEqual((yield* run("backup", `${file}2`)).code, 0)
    })
  )
})

describe("A restore", () => {
  it.live("brings back what was there, keeps what was replaced, and gives out no number twice", () =>
    Effect.gen(function* () {
      const workspace = yield* stopped(3)
      const file = path.join(workspace, "copy")
      yield* Backup.backup(workspace, file)
      const [before] = rowsOf(file, "SELECT value FROM meta WHERE key = 'db_id'")
      const last = yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* startHub({ workspace })
          const [{ id }] = yield* hub.rows("SELECT id FROM topics")
          yield* post(hub, id, "lost")
          return (yield* post(hub, id, "lost too")).body.event_id
        })
      )
      const { kept = "", messages } = yield* Restore.restore(workspace, file)
      assert.strictEqual(messages, 3)
      assert.lengthOf(rowsOf(kept, "SELECT id FROM messages"), 5)
      assert.strictEqual(fs.statSync(databaseOf(workspace)).mode & 0o777, 0o600)
      const hub = yield* startHub({ workspace })
      const health = yield* hub.get("/health")
      assert.notStrictEqual(health.body.db_id, before.value)
      const contents = yield* hub.rows("SELECT content_raw FROM messages ORDER BY id")
      assert.deepStrictEqual(
        contents.map(({ content_raw }) => content_raw),
        ["message 0", "message 1", "message 2"]
      )
      const [{ id }] = yield* hub.rows("SELECT id FROM topics")
      assert.isAbove((yield* post(hub, id, "after")).body.event_id, last)
      // Nor an id, even if the clock is set back.
      const mark = "SELECT value FROM meta WHERE key = 'last_id'"
      const [used] = rowsOf(kept, mark)
      const [now] = rowsOf(databaseOf(workspace), mark)
      assert.isTrue(now.value >= used.value, `${now.value} >= ${used.value}`)
      // As clients resume that have seen what was lost.
      const resumed = yield* hub.get(`/api/v1/events?after=${last}`)
      assert.lengthOf(resumed.body.events, 1)
    })
  )

  it.live("is refused while the hub runs, which goes on", () =>
    Effect.gen(function* () {
      const file = path.join(yield* tempWorkspace, "copy")
      yield* Backup.backup(yield* stopped(1), file)
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const error = yield* Effect.flip(Restore.restore(hub.workspace, file))
      assert.strictEqual(error._tag, "WorkspaceLocked")
      assert.strictEqual((yield* post(hub, topic, "still here")).status, 201)
      assert.lengthOf(yield* hub.rows("SELECT id FROM messages"), 1)
    })
  )

  it.live("works in a new workspace, and open jobs are done there", () =>
    Effect.gen(function* () {
      const from = yield* tempWorkspace
      const file = path.join(from, "copy")
      const plugins = [linkifierSpec("slow")]
      yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* startHub({ workspace: from, plugins, fakes: { slow: () => Effect.never } })
          const { topic } = yield* makeTopic(hub)
          yield* post(hub, topic, "hello")
          yield* Backup.backup(from, file)
        })
      )
      const workspace = yield* tempWorkspace
      const restored = yield* Restore.restore(workspace, file)
      assert.notProperty(restored, "kept")
      let runs = 0
      const fakes = { slow: () => Effect.sync(() => void runs++).pipe(Effect.as([])) }
      const hub = yield* startHub({ workspace, plugins, fakes })
      while ((yield* hub.rows("SELECT 1 FROM derivations WHERE state = 'empty'")).length === 0) {
        yield* Effect.sleep(5)
      }
      assert.strictEqual(runs, 1)
    })
  )

  it.live("replaces a database that is damaged, and keeps it with its log", () =>
    Effect.gen(function* () {
      const file = path.join(yield* tempWorkspace, "copy")
      yield* Backup.backup(yield* stopped(2), file)
      const workspace = yield* stopped(1)
      fs.writeFileSync(databaseOf(workspace), "no database, for sure. ".repeat(500))
      fs.writeFileSync(`${databaseOf(workspace)}-wal`, "some log")
      const { kept = "" } = yield* Restore.restore(workspace, file)
      assert.include(fs.readFileSync(kept, "utf8"), "no database")
      assert.strictEqual(fs.readFileSync(`${kept}-wal`, "utf8"), "some log")
      const hub = yield* startHub({ workspace })
      assert.lengthOf(yield* hub.rows("SELECT id FROM messages"), 2)
      // How many events there were nobody knows; a number is given out once all the same.
      const [{ id }] = yield* hub.rows("SELECT id FROM topics")
      assert.isAbove((yield* post(hub, id, "after")).body.event_id, 1_000_000)
    })
  )

  it.live("refuses what is no sound database of a hub, or of a newer one, and changes nothing", () =>
    Effect.gen(function* () {
      const folder = yield* tempWorkspace
      const file = path.join(folder, "copy")
      assert.include(yield* refused(file), "no such file")
      fs.writeFileSync(file, "hello")
      assert.include(yield* refused(file), "no SQLite database")
      fs.rmSync(file)
      rowsOf(file, "SELECT 1")
      assert.include(yield* refused(file), "not the database of a hub")
      fs.rmSync(file)
      const source = yield* stopped(40)
      yield* Backup.backup(source, file)
      const db = new DatabaseSync(file)
      db.exec(`INSERT INTO migrations (migration_id, name) VALUES (${Migrations.tablesVersion + 1}, 'later')`)
      db.close()
      assert.include(yield* refused(file), "newer agentlip")
      yield* Backup.backup(source, file, { force: true })
      const bytes = fs.readFileSync(file)
      // A page in its middle; the header is untouched.
      bytes.fill(0x5a, bytes.length - 3 * 4096, bytes.length - 2 * 4096)
      fs.writeFileSync(file, bytes)
      assert.include(yield* refused(file), "damaged")
      assert.isTrue(Result.isFailure(yield* Effect.result(Restore.restore(folder, file))))
    })
  )

  for (const [what, statement, reason] of [
    [
      "a trigger that rewrites messages",
      "CREATE TRIGGER sneaky AFTER INSERT ON messages BEGIN UPDATE messages SET content_raw = 'owned' WHERE id = NEW.id; END",
      /trigger sneaky, which no hub makes/
    ],
    ["a view", "CREATE VIEW peek AS SELECT * FROM messages", /view peek, which no hub makes/],
    [
      "another trigger under a name of the hub's",
      "DROP TRIGGER events_never_go; CREATE TRIGGER events_never_go BEFORE DELETE ON events BEGIN SELECT 1; END",
      /trigger events_never_go, which is not as a hub makes it/
    ],
    ["a trigger less", "DROP TRIGGER events_never_go", /no trigger events_never_go/]
  ] as const) {
    it.live(`a restore refuses a file with ${what}, and changes nothing`, () =>
      Effect.gen(function* () {
        const workspace = yield* stopped(1)
        const file = path.join(workspace, "backup.sqlite3")
        yield* Backup.backup(workspace, file)
        const db = new DatabaseSync(file)
        db.exec(statement)
        db.close()
        const before = fs.readFileSync(path.join(workspace, ".agentlip/db.sqlite3"))
        const error = yield* Effect.flip(Restore.restore(workspace, file))
        assert.match(error.message, reason)
        assert.isTrue(before.equals(fs.readFileSync(path.join(workspace, ".agentlip/db.sqlite3"))))
      })
    )
  }
})
