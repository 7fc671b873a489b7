/** The hub's database with its tables: a SQLite file in the workspace, or a PostgreSQL database that hubs share. */
import { Effect, Layer, type Redacted } from "effect"
import { Migrator, type SqlClient, SqlError } from "effect/sql"
import * as DatabaseFile from "./DatabaseFile.ts"
import type * as DatabaseServer from "./DatabaseServer.ts"
import { Hubs } from "./Hubs.ts"
import * as Migrations from "./Migrations.ts"
import * as Sqlite from "./Sqlite.ts"
import { migrateV1, migrationText } from "./V1Migration.ts"
import { Workspace } from "../workspace/Workspace.ts"

/** A SQLite file that only this process uses. */
export const sqlite = (filename: string) =>
  Hubs.alone.pipe(Layer.provideMerge(Migrations.layer), Layer.provideMerge(Sqlite.layer({ filename })))

/** A PostgreSQL database, by its URL. */
export const postgres = (url: Redacted.Redacted) =>
  Layer.unwrap(
    // A hub with a SQLite file never loads the driver.
    Effect.map(
      Effect.promise(() => import("./PostgresDatabase.ts")),
      (database) => database.layer(url)
    )
  )

/** The innermost cause of a database error. */
const origin = (error: unknown): unknown =>
  error instanceof SqlError.SqlError
    ? origin(error.reason.cause)
    : error instanceof Migrator.MigrationError && error.cause !== undefined
      ? origin(error.cause)
      : error

/**
 * The workspace's file. It is checked first: nothing is written to a file that is damaged or not a hub's. A file of
 * Agentlip v1 is migrated.
 */
const file = Effect.gen(function* () {
  const { database } = yield* Workspace
  const migrated = yield* migrateV1(database)
  if (migrated !== undefined) yield* Effect.logInfo(migrationText(migrated))
  yield* DatabaseFile.usable(database)
  yield* DatabaseFile.prepare(database)
  return yield* Effect.mapError(Layer.build(sqlite(database)), (error) =>
    DatabaseFile.unusable(database, origin(error))
  )
})

/** The database at `url`, or the workspace's file if there is no URL. */
export const layer = (
  url: Redacted.Redacted | undefined
): Layer.Layer<
  Hubs | SqlClient.SqlClient,
  DatabaseFile.DatabaseUnusable | DatabaseServer.ServerUnusable | Migrator.MigrationError | SqlError.SqlError,
  Workspace
> => (url === undefined ? Layer.effectContext(file) : postgres(url))
