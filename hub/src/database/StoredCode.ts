/**
 * Checks the code that a SQLite file runs by itself: triggers, views and virtual tables. A file from elsewhere may
 * hold others than a hub's, such as a trigger that rewrites messages.
 */
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { DatabaseSync } from "node:sqlite"
import * as Migrations from "./Migrations.ts"
import * as Sqlite from "./Sqlite.ts"
import { createV1Index, v1Index } from "./V1Index.ts"

const query = `SELECT type || ' ' || name AS name, sql FROM sqlite_schema
  WHERE type IN ('trigger', 'view') OR sql LIKE 'CREATE VIRTUAL%' ORDER BY name`

type StoredCode = ReadonlyMap<string, string>

const codeOf = (rows: ReadonlyArray<Record<string, unknown>>): StoredCode =>
  new Map(rows.map(({ name, sql }) => [String(name), String(sql).replaceAll(/\s+/g, " ")]))

/** The stored code in a hub's database of this version. One that was v1's may have v1's index. */
const expected = (version: number, hasV1Index: boolean) =>
  Effect.gen(function* () {
    yield* Migrations.migrateTo(version)
    if (hasV1Index) yield* createV1Index
    const sql = yield* SqlClient.SqlClient
    return codeOf(yield* sql.unsafe<Record<string, unknown>>(query))
  }).pipe(
    Effect.provide(Layer.fresh(Sqlite.layer({ filename: ":memory:" }))),
    // These are the hub's own statements in a new database, so they cannot fail.
    Effect.orDie
  )

/**
 * Describes stored code that differs from a hub's of the same version, or is missing. Empty if there is no difference.
 */
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
  const wanted = yield* expected(version, found.has(`table ${v1Index}`))
  return [
    ...Array.from(found).flatMap(([name, sql]) => {
      if (!wanted.has(name)) return [`the ${name}, which no hub makes`]
      return wanted.get(name) === sql ? [] : [`the ${name}, which is not as a hub makes it`]
    }),
    ...Array.from(wanted.keys()).flatMap((name) => (found.has(name) ? [] : [`no ${name}`]))
  ]
})
