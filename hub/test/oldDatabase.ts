/** The database of a workspace as an earlier hub left it. */
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Migrations from "../src/database/Migrations.ts"
import * as Postgres from "../src/database/Postgres.ts"
import * as Sqlite from "../src/database/Sqlite.ts"
import { databaseOf } from "./testDatabase.ts"

/** Makes the database up to a migration, and fills it with statements. */
export const makeOldDatabase = (workspace: string, version: number, statements: ReadonlyArray<string>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const folder = path.join(workspace, ".agentlip")
      fs.mkdirSync(folder, { recursive: true })
      const { database } = databaseOf(workspace)
      const client: Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =
        database === undefined
          ? Sqlite.layer({ filename: path.join(folder, "db.sqlite3") })
          : Postgres.layer({ url: database })
      const services = yield* Layer.build(client)
      yield* Effect.provideContext(Migrations.migrateTo(version), services)
      const sql = Context.get(services, SqlClient.SqlClient)
      yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
    })
  )

/** Statements for a channel `c` with the topics `a` and `b`, and the message `e` in `a`. */
export const someRows = (content: string): ReadonlyArray<string> => [
  "INSERT INTO channels VALUES ('c', 'general', NULL, '')",
  "INSERT INTO topics VALUES ('a', 'c', 'first', '', ''), ('b', 'c', 'other', '', '')",
  `INSERT INTO messages
    (id, topic_id, channel_id, sender, content_raw, version, content_version, created_at)
    VALUES ('e', 'a', 'c', 'ada', '${content}', 1, 1, '')`
]
