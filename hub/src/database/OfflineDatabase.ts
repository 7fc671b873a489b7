/** The database of a workspace for commands that read it while no hub runs. Nothing is written, and nothing migrated. */
import { Effect, Layer, type Redacted } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as fs from "node:fs"
import * as SafeFiles from "../workspace/SafeFiles.ts"
import * as DatabaseFile from "./DatabaseFile.ts"
import * as DatabaseServer from "./DatabaseServer.ts"
import * as Migrations from "./Migrations.ts"
import { hasLog, openReadOnly } from "./ReadOnlyFile.ts"
import * as Sqlite from "./Sqlite.ts"

type Unusable = DatabaseFile.DatabaseUnusable | DatabaseServer.ServerUnusable

/** A database that was checked, and its client. */
export interface OfflineDatabase {
  readonly client: Layer.Layer<SqlClient.SqlClient, Unusable>
  /** Explains an error of a statement. */
  readonly explain: (error: SqlError.SqlError) => Unusable
  /** Fails if what was read may be inconsistent, because a hub has started and written since. */
  readonly verify: Effect.Effect<void, Unusable>
}

/** Whether the workspace has a SQLite file. */
export const exists = (file: string): Effect.Effect<boolean, DatabaseFile.DatabaseUnusable> =>
  Effect.try({
    try: () => SafeFiles.requireDatabase(file),
    catch: (cause) => DatabaseFile.unusable(file, cause)
  })

const requireReadable = (file: string) => {
  DatabaseFile.requireFinished(file)
  const db = openReadOnly(file)
  try {
    DatabaseFile.requireReadable(db, file)
  } finally {
    db.close()
  }
}

const causeOf = ({ reason }: SqlError.SqlError): unknown => reason.cause

/** A SQLite file, which exists. Fails if it is damaged, not a hub's, or of another version. */
export const sqlite = (file: string): Effect.Effect<OfflineDatabase, DatabaseFile.DatabaseUnusable> => {
  const stamp = (): string => {
    const { mtimeMs, size } = fs.statSync(file)
    return `${mtimeMs} ${size}`
  }
  const explain = (error: SqlError.SqlError) => DatabaseFile.unusable(file, causeOf(error))
  return Effect.try({
    try: () => {
      // A file with a log is read under SQLite's rules for several processes. One without is taken as it is.
      const before = hasLog(file) ? undefined : stamp()
      requireReadable(file)
      return {
        client: Layer.effectContext(
          Effect.mapError(Layer.build(Sqlite.layer({ filename: file, readOnly: true })), explain)
        ),
        explain,
        verify: Effect.suspend(() =>
          before === undefined || before === stamp()
            ? Effect.void
            : Effect.fail(
                new DatabaseFile.DatabaseUnusable({
                  file,
                  problem: "LOCKED",
                  reason: "a hub wrote to it while it was read"
                })
              )
        )
      }
    },
    catch: (cause) => DatabaseFile.unusable(file, cause)
  })
}

/** Why the tables of a PostgreSQL database cannot be read; `undefined` if they can. */
const tablesProblem = Effect.fnUntraced(function* (up: string) {
  const sql = yield* SqlClient.SqlClient
  const [found] = yield* sql<{ there: boolean }>`SELECT to_regclass('migrations') IS NOT NULL AS there`
  if (found?.there !== true) return `it has no tables yet; a hub creates them: ${up}`
  const [tables] = yield* sql<{ version: number }>`SELECT max(migration_id) AS version FROM migrations`
  const version = Number(tables?.version)
  if (version === Migrations.tablesVersion) return undefined
  const known = `its tables are of version ${version}, and this command reads ${Migrations.tablesVersion}`
  return version > Migrations.tablesVersion
    ? `${known}; use a newer agentlip`
    : `${known}; a hub migrates it when it starts: ${up}`
})

/**
 * A PostgreSQL database. Fails if it cannot be reached, or has tables of another version. `up` is the command that starts
 * a hub on it.
 */
export const postgres = Effect.fnUntraced(function* (url: Redacted.Redacted, up: string) {
  const { layer } = yield* Effect.promise(() => import("./Postgres.ts"))
  const explain = (error: SqlError.SqlError) => DatabaseServer.unusable(url, error)
  const client = Layer.effectContext(
    Effect.mapError(Layer.build(layer({ url, maxConnections: 1, readOnly: true })), explain)
  )
  const problem = yield* Effect.provide(Effect.mapError(tablesProblem(up), explain), client)
  if (problem !== undefined) return yield* DatabaseServer.refused(url, problem)
  return { client, explain, verify: Effect.void }
})
