/** Workspaces of Agentlip v1: a hub takes them over, with everything in them, or leaves them as they are. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Backup from "../src/database/Backup.ts"
import * as Restore from "../src/database/Restore.ts"
import { DatabaseUnusable } from "../src/database/DatabaseFile.ts"
import { migrateV1 } from "../src/database/V1Migration.ts"
import { eventually, type Json, linkifierSpec, startHub, tempWorkspace } from "./testHub.ts"
import { databaseId, type V1Options, writeV1 } from "./v1Database.ts"

const rows = (file: string, query: string): ReadonlyArray<Record<string, unknown>> => {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    return db.prepare(query).all()
  } finally {
    db.close()
  }
}

const digest = (file: string): string => createHash("sha256").update(fs.readFileSync(file)).digest("hex")

const workspaceOfV1 = (options: V1Options) =>
  Effect.map(tempWorkspace, (workspace) => ({ workspace, file: writeV1(workspace, options) }))

const keptIn = (workspace: string): ReadonlyArray<string> =>
  fs.readdirSync(path.join(workspace, ".agentlip")).filter((name) => name.startsWith("db.sqlite3."))

describe("A hub on a workspace of Agentlip v1", () => {
  for (const withFts of [false, true]) {
    it.live(`takes over 10,000 messages ${withFts ? "with" : "without"} a full-text index`, () =>
      Effect.gen(function* () {
        const { workspace, file } = yield* workspaceOfV1({ messages: 10_000, fts: withFts })
        const before = digest(file)
        const old = rows(
          file,
          `SELECT id, topic_id, channel_id, sender, content_raw, version, created_at, edited_at, deleted_at, deleted_by
            FROM messages ORDER BY id`
        )
        const events = rows(
          file,
          "SELECT event_id, ts, name, entity_id, data_json FROM events ORDER BY event_id"
        )
        const hub = yield* startHub({ workspace })

        const health = yield* hub.get("/health")
        assert.strictEqual(health.body.db_id, databaseId)
        const message = yield* hub.get("/api/v1/messages/msg_00000003")
        assert.deepStrictEqual(message.body.message, { ...old.find(({ id }) => id === "msg_00000003") })

        // Every row, also of the old file, which is as it was.
        assert.deepStrictEqual(
          rows(
            file,
            `SELECT id, topic_id, channel_id, sender, content_raw, version, created_at, edited_at, deleted_at, deleted_by
              FROM messages ORDER BY id`
          ),
          old
        )
        assert.deepStrictEqual(
          rows(file, "SELECT event_id, ts, name, entity_id, data_json FROM events ORDER BY event_id"),
          events
        )
        const [kept = ""] = keptIn(workspace)
        assert.strictEqual(digest(path.join(workspace, ".agentlip", kept)), before)
        for (const one of [file, path.join(workspace, ".agentlip", kept)]) {
          assert.strictEqual(fs.statSync(one).mode & 0o777, 0o600)
        }
        const enrichments = yield* hub.get("/api/v1/messages/msg_00000000/enrichments")
        assert.strictEqual(enrichments.body.enrichments[0].plugin_name, "agentlip-v1")
      })
    )
  }

  it.live("keeps the names of v1 for programs that read the file, its full-text index too", () =>
    Effect.gen(function* () {
      const { workspace, file } = yield* workspaceOfV1({ messages: 60, fts: true })
      const queries = [
        "SELECT key, value FROM meta WHERE key IN ('db_id', 'schema_version', 'created_at') ORDER BY key",
        "SELECT id, name, description, created_at FROM channels ORDER BY name",
        "SELECT id, channel_id, title, created_at, updated_at FROM topics ORDER BY id",
        `SELECT id, topic_id, channel_id, sender, content_raw, version, created_at, edited_at, deleted_at, deleted_by
          FROM messages ORDER BY id`,
        `SELECT id, topic_id, kind, key, value_json, dedupe_key, source_message_id, created_at
          FROM topic_attachments WHERE kind = 'url' AND COALESCE(key, '') = '' ORDER BY id`,
        "SELECT id, message_id, kind, span_start, span_end, data_json, created_at FROM enrichments ORDER BY id",
        `SELECT event_id, ts, name, scope_channel_id, scope_topic_id, scope_topic_id2, entity_type, entity_id, data_json
          FROM events ORDER BY event_id`,
        `SELECT m.id, m.content_raw FROM messages m JOIN messages_fts fts ON m.rowid = fts.rowid
          WHERE messages_fts MATCH '"example com" NOT edited' ORDER BY m.created_at DESC LIMIT 20`,
        "SELECT content_raw FROM messages_fts WHERE content_raw MATCH 'mess* AND 1*' ORDER BY rowid",
        "SELECT count(*) AS found FROM sqlite_master WHERE type = 'table' AND name = 'messages_fts'"
      ]
      const results = () => queries.map((query) => rows(file, query))
      const before = results()
      for (const found of before) assert.isNotEmpty(found)
      yield* migrateV1(file)
      assert.deepStrictEqual(results(), before)

      const found = (word: string) =>
        rows(file, `SELECT content_raw FROM messages_fts WHERE messages_fts MATCH '${word}'`).length
      yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* startHub({ workspace })
          const message = { topic_id: "topic_3", sender: "eve", content_raw: "zebra" }
          const { id } = (yield* hub.post("/api/v1/messages", message)).body.message
          assert.strictEqual(found("zebra"), 1)
          yield* hub.patch(`/api/v1/messages/${id}`, { op: "edit", content_raw: "giraffe" })
          assert.deepStrictEqual([found("zebra"), found("giraffe")], [0, 1])
          yield* hub.patch(`/api/v1/messages/${id}`, { op: "delete", actor: "eve", erase: true })
          assert.strictEqual(found("giraffe"), 0)
          yield* eventually(hub.get(`/api/v1/erasures/${id}`), ({ body }) => body.erasure?.state === "done")
          assert.isFalse(fs.readFileSync(file).includes("giraffe"))
          // Rows are found by their numbers. Writing the file anew must not change these.
          yield* hub.rows("VACUUM")
          yield* hub.rows("INSERT INTO messages_fts (messages_fts, rank) VALUES ('integrity-check', 1)")
        })
      )
      const copy = path.join(workspace, "copy.sqlite3")
      yield* Backup.backup(workspace, copy)
      yield* Restore.restore(workspace, copy)
      assert.deepStrictEqual(rows(file, queries[7] ?? ""), before[7])
    })
  )

  it.live("posts after the last message, and uses no event number again", () =>
    Effect.gen(function* () {
      const { workspace } = yield* workspaceOfV1({
        messages: 30,
        change: (db) => db.exec("UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'events'")
      })
      const hub = yield* startHub({ workspace })
      const posted = yield* hub.post("/api/v1/messages", {
        topic_id: "topic_3",
        sender: "eve",
        content_raw: "new"
      })
      assert.strictEqual(posted.status, 201)
      assert.strictEqual(posted.body.event_id, 5001)
      const { body } = yield* hub.get("/api/v1/messages?topic_id=topic_3&limit=1")
      assert.strictEqual(body.messages[0].content_raw, "new")
      const after = yield* hub.get("/api/v1/messages?topic_id=topic_3&after_id=msg_00000023")
      assert.deepStrictEqual(
        after.body.messages.map(({ content_raw }: { readonly content_raw: string }) => content_raw),
        ["new"]
      )
    })
  )

  it.live("replaces what v1's plugins found when a linkifier runs again", () =>
    Effect.gen(function* () {
      const { workspace } = yield* workspaceOfV1({ messages: 4 })
      const hub = yield* startHub({
        workspace,
        plugins: [linkifierSpec("urls")],
        fakes: { urls: () => Effect.succeed([{ kind: "url", span: { start: 0, end: 3 }, data: {} }]) }
      })
      yield* hub.post("/api/v1/backfills", {})
      const plugins = yield* eventually(
        hub
          .get("/api/v1/messages/msg_00000000/enrichments")
          .pipe(
            Effect.map(
              ({ body }): ReadonlyArray<string> => body.enrichments.map((one: Json) => one.plugin_name)
            )
          ),
        (plugins) => plugins.includes("urls")
      )
      assert.deepStrictEqual(plugins, ["urls"])
    })
  )

  it.live("starts a second time without migrating again", () =>
    Effect.gen(function* () {
      const { workspace } = yield* workspaceOfV1({ messages: 5 })
      yield* Effect.scoped(startHub({ workspace }))
      yield* Effect.scoped(startHub({ workspace }))
      assert.lengthOf(keptIn(workspace), 1)
    })
  )
})

describe("A migration", () => {
  it.live("of an empty database gives an empty hub", () =>
    Effect.gen(function* () {
      const { file } = yield* workspaceOfV1({})
      const migrated = yield* migrateV1(file)
      assert.deepInclude(migrated, { messages: 0, events: 0, recovered: 0, leftOut: 0 })
      assert.isUndefined(yield* migrateV1(file))
    })
  )

  it.live("keeps rows whose topic, channel or message is missing", () =>
    Effect.gen(function* () {
      const { file } = yield* workspaceOfV1({
        messages: 20,
        change: (db) => {
          db.exec("DELETE FROM channels WHERE id = 'ch_2'")
          db.exec("DELETE FROM topics WHERE id = 'topic_4'")
          db.exec("INSERT INTO enrichments VALUES ('enr_x', 'msg_gone', 'link', 0, 1, '{}', '2025')")
          db.exec(
            `INSERT INTO topic_attachments VALUES ('att_x', 'topic_gone', 'note', NULL, 'no JSON', 'd', 'msg_gone', '2025')`
          )
        }
      })
      const migrated = yield* migrateV1(file)
      assert.deepInclude(migrated, { messages: 20, attachments: 5, leftOut: 1, recovered: 4 })
      assert.lengthOf(
        rows(file, "SELECT 1 FROM messages WHERE topic_id = 'topic_4' AND channel_id = 'ch_1'"),
        2
      )
      assert.deepStrictEqual(
        rows(file, "SELECT topic_id, value_json, source_message_id FROM attachments WHERE id = 'att_x'").map(
          (row) => ({
            ...row
          })
        ),
        [{ topic_id: "topic_gone", value_json: '{"invalid":"no JSON"}', source_message_id: null }]
      )
      assert.lengthOf(rows(file, "PRAGMA foreign_key_check"), 0)
    })
  )

  const refuses = (name: string, says: string, change: (db: DatabaseSync, file: string) => void) =>
    it.live(`refuses ${name}, and leaves the file as it is`, () =>
      Effect.gen(function* () {
        const { workspace, file } = yield* workspaceOfV1({ messages: 200 })
        const db = new DatabaseSync(file, { enableForeignKeyConstraints: false })
        change(db, file)
        const before = digest(file)
        const error = yield* Effect.flip(migrateV1(file))
        assert.instanceOf(error, DatabaseUnusable)
        assert.include(error.message, says)
        assert.strictEqual(digest(file), before)
        assert.deepStrictEqual(keptIn(workspace), [])
        if (db.isOpen) db.close()
      })
    )

  refuses("a version that it does not know", "schema_version 2", (db) => {
    db.exec("UPDATE meta SET value = '2' WHERE key = 'schema_version'")
    db.close()
  })

  refuses("a damaged database", "damaged", (db, file) => {
    db.close()
    const bytes = fs.readFileSync(file)
    fs.writeFileSync(file, bytes.fill(0x5a, 4096 * 6, 4096 * 9))
  })

  refuses("a database that another process writes to", "locked", (db) => {
    db.exec("PRAGMA journal_mode = DELETE")
    db.exec("BEGIN EXCLUSIVE")
  })

  it.live("refuses while a v1 hub still has the database open, and takes it over afterwards", () =>
    Effect.gen(function* () {
      const { workspace, file } = yield* workspaceOfV1({ messages: 20 })
      const v1 = `
        const { DatabaseSync } = require("node:sqlite")
        const db = new DatabaseSync(process.argv[1])
        db.exec("INSERT INTO channels VALUES ('ch_late', 'late', NULL, '2025')")
        console.log("open")
        setInterval(() => {}, 60_000)`
      yield* Effect.scoped(
        Effect.gen(function* () {
          const other = yield* Effect.acquireRelease(
            Effect.sync(() =>
              spawn(process.execPath, ["-e", v1, file], { stdio: ["ignore", "pipe", "inherit"] })
            ),
            (other) =>
              Effect.promise(async () => {
                other.kill("SIGKILL")
                if (other.exitCode === null && other.signalCode === null) await once(other, "exit")
              })
          )
          yield* Effect.promise(() => once(other.stdout, "data"))
          const error = yield* Effect.flip(migrateV1(file))
          assert.include(error.message, "Stop Agentlip v1")
          assert.deepStrictEqual(keptIn(workspace), [])
        })
      )
      assert.deepInclude(yield* migrateV1(file), { channels: 3, messages: 20 })
    })
  )

  it.live("takes what v1 has left in its log", () =>
    Effect.gen(function* () {
      const { workspace, file } = yield* workspaceOfV1({ messages: 3 })
      // As after a crash: copied while it is open, with a commit in the log only.
      const db = new DatabaseSync(file)
      db.exec("PRAGMA wal_autocheckpoint = 0")
      db.exec("INSERT INTO channels VALUES ('ch_late', 'late', NULL, '2025')")
      const crashed = path.join(workspace, "crashed.sqlite3")
      for (const extension of ["", "-wal"]) fs.copyFileSync(file + extension, crashed + extension)
      db.close()
      yield* migrateV1(crashed)
      assert.lengthOf(rows(crashed, "SELECT 1 FROM channels WHERE name = 'late'"), 1)
    })
  )

  it.live("begins again after it was killed", () =>
    Effect.gen(function* () {
      const { file } = yield* workspaceOfV1({ messages: 3 })
      fs.writeFileSync(`${file}.from-v1.tmp`, "half")
      assert.deepInclude(yield* migrateV1(file), { messages: 3 })
      assert.isFalse(fs.existsSync(`${file}.from-v1.tmp`))
    })
  )
})
