/**
 * Triggers, views and virtual tables: what a SQLite file runs by itself. One from elsewhere may hold others than a
 * hub's, such as a trigger that rewrites messages.
 */
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { DatabaseSync } from "node:sqlite"
import * as Migrations from "./Migrations.ts"
import * as Sqlite from "./Sqlite.ts"

const query = `SELECT type || ' ' || name AS name, sql FROM sqlite_schema
  WHERE type IN ('trigger', 'view') OR sql LIKE 'CREATE VIRTUAL%' ORDER BY name`

type StoredCode = ReadonlyMap<string, string>

const codeOf = (rows: ReadonlyArray<Record<string, unknown>>): StoredCode =>
  new Map(rows.map(({ name, sql }) => [String(name), String(sql).replaceAll(/\s+/g, " ")]))

/** What a hub's database has whose tables are of this version. */
const expected = (version: number) =>
  Effect.gen(function* () {
    yield* Migrations.migrateTo(version)
    const sql = yield* SqlClient.SqlClient
    return codeOf(yield* sql.unsafe<Record<string, unknown>>(query))
  }).pipe(
    Effect.provide(Layer.fresh(Sqlite.layer({ filename: ":memory:" }))),
    // The hub's own statements, in a database of its own.
    Effect.orDie
  )

/** What a database has of another kind than a hub of its version makes, or lacks, in words; empty if nothing. */
export const foreignCode = Effect.fnUntraced(function* (file: string) {
  const { version, found } = yield* Effect.sync(() => {
    const db = new DatabaseSync(file, { timeout: 5_000 })
    try {
      const row = db.prepare("SELECT max(migration_id) AS n FROM migrations").get()
      return { version: Number(row?.["n"] ?? 0), found: codeOf(db.prepare(query).all()) }
    } finally {
      db.close()
    }
  })
  const wanted = yield* expected(version)
  return [
    ...Array.from(found).flatMap(([name, sql]) => {
      if (!wanted.has(name)) return [`the ${name}, which no hub makes`]
      return wanted.get(name) === sql ? [] : [`the ${name}, which is not as a hub makes it`]
    }),
    ...Array.from(wanted.keys()).flatMap((name) => (found.has(name) ? [] : [`no ${name}`]))
  ]
})
