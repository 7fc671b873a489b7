/** What a hub refuses to start on, with what it says: nothing is written to any of these files. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import * as DatabaseFile from "../src/database/DatabaseFile.ts"
import * as Migrations from "../src/database/Migrations.ts"
import { agentlip, hubMain, root, shows } from "./hubProcess.ts"
import { makeTopic, startHub, tempWorkspace } from "./testHub.ts"
import { writeV1 } from "./v1Database.ts"

const databaseOf = (workspace: string): string => path.join(workspace, ".agentlip", "db.sqlite3")

/** A workspace whose hub has stopped; its database has a few dozen pages. */
const stopped = Effect.gen(function* () {
  const workspace = yield* tempWorkspace
  yield* Effect.scoped(
    Effect.gen(function* () {
      const hub = yield* startHub({ workspace })
      const { topic } = yield* makeTopic(hub)
      for (let n = 0; n < 20; n++) {
        yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: "x".repeat(3_000) })
      }
    })
  )
  return workspace
})

const change = (file: string, ...statements: ReadonlyArray<string>): void => {
  const db = new DatabaseSync(file)
  for (const statement of statements) db.exec(statement)
  db.close()
}

/** A start fails with a text that names the file, and leaves the file as it is. */
const refuses = Effect.fnUntraced(function* (
  workspace: string,
  problem: string,
  ...says: ReadonlyArray<string>
) {
  const file = databaseOf(workspace)
  const before = fs.readFileSync(file)
  const error = yield* Effect.flip(Effect.scoped(startHub({ workspace })))
  assert.instanceOf(error, DatabaseFile.DatabaseUnusable)
  if (!(error instanceof DatabaseFile.DatabaseUnusable)) return
  assert.strictEqual(error.problem, problem)
  for (const text of [file, ...says]) assert.include(error.message, text)
  assert.deepStrictEqual(fs.readFileSync(file), before)
  assert.isFalse(fs.existsSync(path.join(workspace, ".agentlip", "server.json")))
})

describe("A hub does not start on", () => {
  it.live("a database whose header is garbage", () =>
    Effect.gen(function* () {
      const workspace = yield* stopped
      const bytes = fs.readFileSync(databaseOf(workspace))
      fs.writeFileSync(databaseOf(workspace), bytes.fill(0x5a, 0, 100))
      yield* refuses(workspace, "DAMAGED", "header", "agentlip restore FILE")
    })
  )

  it.live("a database with garbage in the middle of a page, wherever it is", () =>
    Effect.gen(function* () {
      const workspace = yield* stopped
      const file = databaseOf(workspace)
      const sound = fs.readFileSync(file)
      // Pages of messages, of events and of indexes alike; what is free or text is nobody's structure.
      let refused = 0
      for (let page = 2; page < sound.length / 4096; page += 5) {
        fs.writeFileSync(file, Buffer.from(sound).fill(0x5a, page * 4096, page * 4096 + 200))
        const exit = yield* Effect.result(DatabaseFile.usable(file))
        if (exit._tag === "Failure") {
          assert.strictEqual(exit.failure.problem, "DAMAGED")
          refused++
        }
      }
      assert.isAbove(refused, 3)
      fs.writeFileSync(file, Buffer.from(sound).fill(0x5a, 2 * 4096, 2 * 4096 + 200))
      yield* refuses(workspace, "DAMAGED", "damaged", "agentlip restore FILE")
      fs.writeFileSync(file, sound)
      yield* startHub({ workspace })
    })
  )

  it.live("a database that was cut short", () =>
    Effect.gen(function* () {
      const workspace = yield* stopped
      fs.truncateSync(databaseOf(workspace), 8 * 4096)
      yield* refuses(workspace, "DAMAGED", "agentlip restore FILE")
    })
  )

  it.live("a database of a newer hub", () =>
    Effect.gen(function* () {
      const workspace = yield* stopped
      const newer = Migrations.tablesVersion + 3
      change(
        databaseOf(workspace),
        `INSERT INTO migrations (migration_id, name) VALUES (${newer}, 'what_is_to_come')`
      )
      yield* refuses(
        workspace,
        "NEWER",
        `version ${newer},`,
        `up to ${Migrations.tablesVersion};`,
        "use a newer agentlip"
      )
    })
  )

  it.live("a database of a newer hub that was killed, whose log stays what it is", () =>
    Effect.gen(function* () {
      const killed = yield* stopped
      const workspace = yield* tempWorkspace
      fs.mkdirSync(path.join(workspace, ".agentlip"))
      const db = new DatabaseSync(databaseOf(killed))
      db.exec("INSERT INTO migrations (migration_id, name) VALUES (1000, 'what_is_to_come')")
      for (const part of ["", "-wal"]) {
        fs.copyFileSync(databaseOf(killed) + part, databaseOf(workspace) + part)
      }
      db.close()
      const log = fs.readFileSync(`${databaseOf(workspace)}-wal`)
      assert.isAbove(log.length, 0)
      yield* refuses(workspace, "NEWER", "version 1000,")
      assert.deepStrictEqual(fs.readFileSync(`${databaseOf(workspace)}-wal`), log)
    })
  )

  it.live("a database of another program", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      fs.mkdirSync(path.join(workspace, ".agentlip"))
      change(databaseOf(workspace), "CREATE TABLE recipes (id)", "CREATE TABLE spices (id)")
      yield* refuses(workspace, "FOREIGN", "recipes, spices", "another workspace")
      change(databaseOf(workspace), "CREATE TABLE migrations (version)", "CREATE TABLE meta (version)")
      yield* refuses(workspace, "FOREIGN", "migrations are none of a hub's")
    })
  )

  it.live("a database that another process keeps locked", () =>
    Effect.gen(function* () {
      const workspace = yield* stopped
      const other = new DatabaseSync(databaseOf(workspace))
      other.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
      yield* refuses(workspace, "LOCKED", "database shell").pipe(
        Effect.ensuring(Effect.sync(() => other.close()))
      )
      yield* startHub({ workspace })
    })
  )
})

describe("A hub starts on", () => {
  it.live("a file that a killed start has left without all of its tables", () =>
    Effect.gen(function* () {
      for (const statements of [[], ["PRAGMA journal_mode = WAL"]]) {
        const workspace = yield* tempWorkspace
        fs.mkdirSync(path.join(workspace, ".agentlip"))
        change(databaseOf(workspace), ...statements)
        yield* startHub({ workspace })
      }
      const workspace = yield* tempWorkspace
      fs.mkdirSync(path.join(workspace, ".agentlip"))
      change(
        databaseOf(workspace),
        "CREATE TABLE migrations (migration_id integer PRIMARY KEY NOT NULL, created_at datetime, name VARCHAR(255))"
      )
      yield* startHub({ workspace })
    })
  )
})

const entry = fileURLToPath(new URL("./crashingHub.ts", import.meta.url))
const isRoot = process.getuid?.() === 0
const nobody = 65534

/** A hub of a user whom file modes bind; the tests may be root's. */
const startAsNobody = (workspace: string) =>
  Effect.promise(async () => {
    const hub = spawn(process.execPath, ["--conditions=@agentlip/source", entry, workspace], {
      stdio: ["ignore", "pipe", "pipe"],
      ...(isRoot ? { uid: nobody, gid: nobody } : {})
    })
    let output = ""
    hub.stdout.on("data", (chunk) => (output += chunk))
    hub.stderr.on("data", (chunk) => (output += chunk))
    const timer = setTimeout(() => hub.kill("SIGKILL"), 45_000)
    const [code] = await once(hub, "close")
    clearTimeout(timer)
    return { code: Number(code), output }
  })

const giveAway = (folder: string): void => {
  if (!isRoot) return
  for (const name of ["", ...fs.readdirSync(folder, { recursive: true, encoding: "utf8" })]) {
    fs.chownSync(path.join(folder, name), nobody, nobody)
  }
}

describe("A hub that may not write", () => {
  it.live(
    "to its database says so",
    () =>
      Effect.gen(function* () {
        const workspace = yield* stopped
        giveAway(workspace)
        fs.chmodSync(databaseOf(workspace), 0o400)
        const { code, output } = yield* startAsNobody(workspace)
        assert.strictEqual(code, 1)
        assert.include(output, databaseOf(workspace))
        assert.include(output, "it is read-only")
        assert.include(output, "Let the hub's user write to it")
      }),
    60_000
  )

  it.live(
    "to its workspace says so",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        giveAway(workspace)
        fs.chmodSync(workspace, 0o500)
        const { code, output } = yield* startAsNobody(workspace)
        assert.strictEqual(code, 1)
        assert.include(output, path.join(workspace, ".agentlip"))
        assert.include(output, "permission denied")
      }),
    60_000
  )
})

describe("agentlip up", () => {
  it.live(
    "leaves a database of Agentlip v1 as it is if there is no room for the copy, and says so",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const file = writeV1(workspace, { messages: 3_000 })
        const before = fs.readFileSync(file)
        // As on a full disk, a write fails: no file may have more than 256 KiB.
        const limited = `trap '' XFSZ; ulimit -f 256; exec "$0" "$@"`
        const up = [process.execPath, hubMain, "up", "--workspace", workspace]
        const child = spawn("bash", ["-c", limited, ...up], { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
        let output = ""
        child.stdout.on("data", (chunk) => (output += chunk))
        child.stderr.on("data", (chunk) => (output += chunk))
        const [code] = yield* Effect.promise(() => once(child, "close"))
        assert.strictEqual(code, 1, output)
        assert.include(output, "could not be copied")
        assert.include(output, "It is unchanged")
        assert.deepStrictEqual(fs.readFileSync(file), before)
        const left = fs.readdirSync(path.dirname(file)).filter((name) => name.startsWith("db.sqlite3"))
        assert.deepStrictEqual(left, ["db.sqlite3"])
        const again = yield* agentlip("up", "--workspace", workspace)
        yield* shows(again, "3,000 messages")
      }),
    60_000
  )

  it.live(
    "says on a damaged database what to do, without a stack, with exit code 1",
    () =>
      Effect.gen(function* () {
        const workspace = yield* stopped
        fs.writeFileSync(databaseOf(workspace), "no database, for sure. ".repeat(500))
        const hub = yield* agentlip("up", "--workspace", workspace)
        assert.strictEqual(yield* Effect.promise(() => hub.ended), 1)
        assert.include(hub.output(), databaseOf(workspace))
        assert.match(hub.output(), new RegExp(`agentlip\\.js restore FILE -w ${workspace}\n`))
        assert.notMatch(hub.output(), /\n +at /)
      }),
    60_000
  )
})
