/**
 * The full-text index of Agentlip v1, `messages_fts`. A database that is migrated from v1 has it if v1's had it, because
 * programs may query it. It follows the messages. The hub's own search does not use it.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** The statement that creates the table, as SQLite stores it. A table of this name with another one is not the hub's. */
export const v1IndexSql = `CREATE VIRTUAL TABLE messages_fts USING fts5(content_raw, content='messages', content_rowid='rowid')`

/** With `secure-delete`, a text that is erased leaves nothing behind in the index. */
const statements = [
  v1IndexSql,
  `INSERT INTO messages_fts (messages_fts, rank) VALUES ('secure-delete', 1)`,
  `INSERT INTO messages_fts (messages_fts) VALUES ('rebuild')`,
  `CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages
    BEGIN INSERT INTO messages_fts (rowid, content_raw) VALUES (NEW.rowid, NEW.content_raw); END`,
  `CREATE TRIGGER messages_fts_update AFTER UPDATE OF content_raw ON messages BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, content_raw) VALUES ('delete', OLD.rowid, OLD.content_raw);
    INSERT INTO messages_fts (rowid, content_raw) VALUES (NEW.rowid, NEW.content_raw);
  END`
]

/** Creates the index with all messages. */
export const createV1Index = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  for (const statement of statements) yield* sql.unsafe(statement)
})

/** The name of its table. */
export const v1Index = "messages_fts"
