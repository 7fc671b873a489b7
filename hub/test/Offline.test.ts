/** Commands that read a workspace's database themselves, because no hub runs or they are told to. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import * as Migrations from "../src/database/Migrations.ts"
import { commandsOf, type Outcome } from "./cli.ts"
import { hubMain, root } from "./hubProcess.ts"
import { fileOf, stateOf } from "./databaseFile.ts"
import { makeTopic, startHub, tempWorkspace } from "./testHub.ts"
import { writeV1 } from "./v1Database.ts"

/** A workspace whose hub has stopped. */
const stopped = Effect.gen(function* () {
  const workspace = yield* tempWorkspace
  const { topic } = yield* Effect.scoped(Effect.flatMap(startHub({ workspace }), (hub) => makeTopic(hub)))
  return { workspace, topic, run: commandsOf(workspace) }
})

const fails = ({ code, json }: Outcome, expected: number, error: RegExp) => {
  assert.strictEqual(code, expected)
  assert.strictEqual(json.status, "error")
  assert.isDefined(json.code)
  assert.match(json.error, error)
}

describe("reads without a hub", () => {
  it.live("read a workspace of another user that they cannot write to", () =>
    Effect.gen(function* () {
      const { workspace } = yield* stopped
      const places = [workspace, ...stateOf(workspace).map(([place]) => place)]
      for (const place of places) fs.chmodSync(place, fs.statSync(place).isFile() ? 0o444 : 0o555)
      const before = stateOf(workspace)
      const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
      const args = ["--conditions=@agentlip/source", hubMain, "topic", "list", "general", "-w", workspace]
      const { status, stdout, stderr } = spawnSync(process.execPath, args, {
        cwd: root,
        encoding: "utf8",
        ...nobody
      })
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.include(stdout, "first")
      assert.deepStrictEqual(stateOf(workspace), before)
      for (const place of places) fs.chmodSync(place, 0o700)
    })
  )

  it.live("say what a database is that they cannot read, and what to do", () =>
    Effect.gen(function* () {
      const { workspace, run } = yield* stopped
      const file = fileOf(workspace)
      const saved = fs.readFileSync(file)
      const list = run("channel", "list", "--json")
      const change = (statement: string) => {
        const db = new DatabaseSync(file)
        db.exec(statement)
        db.close()
      }
      change("DELETE FROM migrations WHERE migration_id > 7")
      const up = (said: string, at = workspace) => new RegExp(`${said}.* up -w ${at}$`)
      fails(yield* list, 1, up("tables are of version 7, .* A hub migrates it when it starts: "))
      change(`INSERT INTO migrations (migration_id, name) VALUES (${Migrations.tablesVersion + 1}, 'later')`)
      fails(yield* list, 1, /use a newer agentlip/)
      fs.writeFileSync(file, saved.subarray(0, 4096))
      fails(yield* list, 1, /cannot be used: .*(malformed|damaged)/)
      fs.writeFileSync(file, "no database ".repeat(500))
      fails(yield* list, 1, /no SQLite database/)
      fs.rmSync(file)
      change("CREATE TABLE other (x)")
      fails(yield* list, 1, /not the database of a hub/)

      fs.rmSync(file)
      fs.writeFileSync(`${file}-journal`, "x")
      fs.writeFileSync(file, saved)
      fails(yield* list, 1, up("a transaction in it was cut off.*: "))
      fs.rmSync(`${file}-journal`)

      const db = new DatabaseSync(file)
      db.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; INSERT INTO meta VALUES ('a', 'b'); COMMIT")
      fails(yield* list, 1, /locked/)
      db.close()
      assert.strictEqual((yield* list).code, 0)

      fs.rmSync(file)
      fails(yield* list, 3, /No hub runs.*Start this workspace's hub: .* up /)
      fails(yield* run("channel", "list", "--offline", "--json"), 1, /no database to read. Start a hub/)
      const v1 = yield* tempWorkspace
      writeV1(v1, { messages: 10 })
      fails(
        yield* commandsOf(v1)("channel", "list", "--json"),
        1,
        up("Agentlip v1, not migrated yet.*: ", v1)
      )
    })
  )

  it.live("show the status of the database; what follows events needs a hub", () =>
    Effect.gen(function* () {
      const { run } = yield* stopped
      const { code, json, err } = yield* run("status", "--json")
      assert.strictEqual(code, 3)
      assert.include(JSON.parse(err), { status: "error", code: "HUB_NOT_RUNNING" })
      assert.include(json, { status: "error", code: "HUB_NOT_RUNNING" })
      assert.deepStrictEqual(json.search_index, { complete: true, done: 0, total: 0 })
      assert.include(json.database, { channels: 1, topics: 1, messages: 0, newest_event: 2 })
      const forced = yield* run("status", "--offline", "--json")
      assert.deepStrictEqual([forced.code, forced.json.status], [0, "ok"])
      fails(yield* run("msg", "tail", "general/first", "--follow", "--json"), 3, /No hub runs/)
      fails(
        yield* run("msg", "tail", "general/first", "--follow", "--offline", "--json"),
        1,
        /needs a running hub/
      )
      fails(yield* run("listen", "--json"), 3, /No hub runs/)
    })
  )

  it.live("go on from page to page, however long the list is", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: "0" })
      const large = "x".repeat(60_000)
      for (let n = 1; n <= 30; n++) {
        yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: `${n} ${large}` })
      }
      const run = commandsOf(hub.workspace)
      for (const mode of [[], ["--offline"]]) {
        const tail = (yield* run("msg", "tail", topic, "--limit", "2000", "--json", ...mode)).json
        assert.strictEqual(tail.count, 31)
        const first = tail.messages.at(-1).id
        const page = (yield* run(
          "msg",
          "page",
          "--topic-id",
          topic,
          "--after-id",
          first,
          "--limit",
          "20",
          "--json",
          ...mode
        )).json
        assert.deepStrictEqual(
          [page.count, page.hasMore, page.messages.at(-1).content_raw.slice(0, 2)],
          [20, true, "1 "]
        )
      }
      assert.include((yield* run("msg", "list", topic, "--limit", "0")).err, "Expected 1 or more")
    })
  )
})
