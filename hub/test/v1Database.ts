/** Builds databases as Agentlip v1 leaves them. */
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"

const schema = [
  `CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT`,
  `CREATE TABLE channels (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE, description TEXT,
    created_at TEXT NOT NULL) STRICT`,
  `CREATE TABLE topics (id TEXT PRIMARY KEY NOT NULL, channel_id TEXT NOT NULL REFERENCES channels(id),
    title TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, UNIQUE (channel_id, title)) STRICT`,
  `CREATE TABLE messages (id TEXT PRIMARY KEY NOT NULL, topic_id TEXT NOT NULL REFERENCES topics(id),
    channel_id TEXT NOT NULL, sender TEXT NOT NULL, content_raw TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL, edited_at TEXT, deleted_at TEXT, deleted_by TEXT) STRICT`,
  `CREATE TRIGGER no_message_delete BEFORE DELETE ON messages
    BEGIN SELECT RAISE(ABORT, 'messages are not deleted'); END`,
  `CREATE TABLE events (event_id INTEGER PRIMARY KEY AUTOINCREMENT, ts TEXT NOT NULL, name TEXT NOT NULL,
    scope_channel_id TEXT, scope_topic_id TEXT, scope_topic_id2 TEXT, entity_type TEXT NOT NULL,
    entity_id TEXT NOT NULL, data_json TEXT NOT NULL) STRICT`,
  `CREATE TABLE topic_attachments (id TEXT PRIMARY KEY NOT NULL, topic_id TEXT NOT NULL REFERENCES topics(id),
    kind TEXT NOT NULL, key TEXT, value_json TEXT NOT NULL, dedupe_key TEXT NOT NULL,
    source_message_id TEXT REFERENCES messages(id), created_at TEXT NOT NULL) STRICT`,
  `CREATE UNIQUE INDEX attachments_dedupe
    ON topic_attachments (topic_id, kind, COALESCE(key, ''), dedupe_key)`,
  `CREATE TABLE enrichments (id TEXT PRIMARY KEY NOT NULL, message_id TEXT NOT NULL REFERENCES messages(id),
    kind TEXT NOT NULL, span_start INTEGER NOT NULL, span_end INTEGER NOT NULL, data_json TEXT NOT NULL,
    created_at TEXT NOT NULL) STRICT`
]

const fts = [
  `CREATE VIRTUAL TABLE messages_fts USING fts5(content_raw, content='messages', content_rowid='rowid')`,
  `CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages
    BEGIN INSERT INTO messages_fts (rowid, content_raw) VALUES (new.rowid, new.content_raw); END`
]

export const databaseId = "0b1c2d3e-4f50-4a6b-8c7d-8e9fa0b1c2d3"

export interface V1Options {
  /** Messages, in ten topics of two channels. Every 7th is edited, every 11th deleted, every 13th was moved. */
  readonly messages?: number
  /** Whether it has v1's full-text index. */
  readonly fts?: boolean
  /** Runs last, with foreign keys off. */
  readonly change?: (db: DatabaseSync) => void
}

const timeOf = (index: number): string => new Date(Date.UTC(2025, 0, 1) + index * 1_000).toISOString()
const number = (index: number): string => String(index).padStart(8, "0")

/** Writes `.agentlip/db.sqlite3` of v1 into a workspace, and returns its path. */
export const writeV1 = (workspace: string, options: V1Options = {}): string => {
  const { messages = 0 } = options
  const folder = path.join(workspace, ".agentlip")
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = path.join(folder, "db.sqlite3")
  const db = new DatabaseSync(file, { enableForeignKeyConstraints: false })
  db.exec("PRAGMA journal_mode = WAL")
  for (const statement of [...schema, ...(options.fts === true ? fts : [])]) db.exec(statement)
  db.exec("BEGIN")
  const meta = db.prepare("INSERT INTO meta VALUES (?, ?)")
  meta.run("db_id", databaseId)
  meta.run("schema_version", "1")
  meta.run("created_at", timeOf(0))
  if (messages > 0) {
    const event = db.prepare(
      `INSERT INTO events (ts, name, scope_channel_id, scope_topic_id, scope_topic_id2, entity_type, entity_id, data_json)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
    )
    const message = db.prepare("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    const enrichment = db.prepare("INSERT INTO enrichments VALUES (?, ?, ?, ?, ?, ?, ?)")
    const attachment = db.prepare("INSERT INTO topic_attachments VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    for (const channel of ["ch_1", "ch_2"]) {
      db.prepare("INSERT INTO channels VALUES (?, ?, ?, ?)").run(
        channel,
        `channel ${channel}`,
        null,
        timeOf(0)
      )
    }
    for (let n = 0; n < 10; n++) {
      db.prepare("INSERT INTO topics VALUES (?, ?, ?, ?, ?)").run(
        `topic_${n}`,
        `ch_${1 + (n % 2)}`,
        `topic ${n}`,
        timeOf(0),
        timeOf(messages)
      )
    }
    for (let n = 0; n < messages; n++) {
      const id = `msg_${number(n)}`
      const topic = `topic_${n % 10}`
      const channel = `ch_${1 + (n % 2)}`
      const edited = n % 7 === 3
      const deleted = n % 11 === 5
      const moved = n % 13 === 6
      const text = deleted
        ? "[deleted]"
        : `message ${n}: see https://example.com/${n} 🚀${edited ? " (edited)" : ""}`
      message.run(
        id,
        topic,
        channel,
        "ada",
        text,
        1 + Number(edited) + Number(deleted) + Number(moved),
        timeOf(n),
        edited ? timeOf(n + 1) : null,
        deleted ? timeOf(n + 2) : null,
        deleted ? "ada" : null
      )
      const data = { message: { id, topic_id: topic, channel_id: channel, sender: "ada", content_raw: text } }
      event.run(timeOf(n), "message.created", channel, topic, null, "message", id, JSON.stringify(data))
      if (moved) {
        const move = { message_id: id, old_topic_id: "topic_0", new_topic_id: topic, channel_id: channel }
        event.run(
          timeOf(n),
          "message.moved_topic",
          channel,
          "topic_0",
          topic,
          "message",
          id,
          JSON.stringify(move)
        )
      }
      if (n % 3 === 0 && !deleted) {
        enrichment.run(
          `enr_${number(n)}`,
          id,
          "link",
          0,
          7,
          JSON.stringify({ url: `https://example.com/${n}` }),
          timeOf(n)
        )
      }
      if (n % 5 === 0) {
        attachment.run(
          `att_${number(n)}`,
          topic,
          "url",
          null,
          JSON.stringify({ url: `https://example.com/${n}` }),
          `url-${n}`,
          id,
          timeOf(n)
        )
      }
    }
  }
  db.exec("COMMIT")
  options.change?.(db)
  db.close()
  fs.chmodSync(file, 0o644)
  return file
}
