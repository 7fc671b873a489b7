/** The hub's database, with its tables: a SQLite file in the workspace, or one on PostgreSQL that hubs share. */
import { Effect, Layer, Redacted, Schema } from "effect"
import { type Migrator, type SqlClient, SqlError } from "effect/sql"
import { Hubs } from "./Hubs.ts"
import * as Migrations from "./Migrations.ts"
import * as Postgres from "./Postgres.ts"
import * as Sqlite from "./Sqlite.ts"
import { Workspace } from "./Workspace.ts"

/** The database on PostgreSQL cannot be reached, or it does not let the hub in. */
export class DatabaseUnusable extends Schema.TaggedError<DatabaseUnusable>("@agentlip/hub/DatabaseUnusable")(
  "DatabaseUnusable",
  {
    /** Server and name, without user and password. */
    database: Schema.String,
    reason: Schema.String
  }
) {
  override get message(): string {
    return `The hub cannot use ${this.database}: ${this.reason}`
  }
}

/** A SQLite file that this process alone has. */
export const sqlite = (filename: string) =>
  Hubs.alone.pipe(Layer.provideMerge(Migrations.layer), Layer.provideMerge(Sqlite.layer({ filename })))

/** A database on PostgreSQL, by its URL. */
export const postgres = (url: Redacted.Redacted) => {
  const tables = Effect.mapError(Migrations.migrate, (error) => unusable(url, error))
  return Hubs.sharing().pipe(
    Layer.provideMerge(Layer.effectDiscard(tables)),
    Layer.provideMerge(Postgres.layer({ url }))
  )
}

/** What `url` names, or the file of the workspace. */
export const layer = (
  url: Redacted.Redacted | undefined
): Layer.Layer<
  Hubs | SqlClient.SqlClient,
  DatabaseUnusable | Migrator.MigrationError | SqlError.SqlError,
  Workspace
> =>
  url === undefined ? Layer.unwrap(Effect.map(Workspace, ({ database }) => sqlite(database))) : postgres(url)

/** What may be shown of a URL. */
const nameOf = (url: Redacted.Redacted): string => {
  const { host = "", pathname = "", searchParams } = URL.parse(Redacted.value(url)) ?? {}
  return `the database ${pathname.slice(1) || "(none)"} of ${searchParams?.get("host") ?? (host || "(no server)")}`
}

const unusable = (
  url: Redacted.Redacted,
  error: SqlError.SqlError | Migrator.MigrationError
): DatabaseUnusable =>
  new DatabaseUnusable({
    database: nameOf(url),
    reason: error._tag === "SqlError" ? reasonOf(error) : reasonOf(error.cause, error.message)
  })

const reasonOf = (error: unknown, otherwise = String(error)): string => {
  if (!(error instanceof SqlError.SqlError)) return otherwise
  const { cause, _tag } = error.reason
  const said = cause instanceof Error ? cause.message : error.message
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  // The text itself would be shown.
  if (code === "ERR_INVALID_URL") return "the URL cannot be read; it is postgres://USER:PASSWORD@HOST/NAME"
  if (code === "3D000") return `${said}; create it with createdb`
  switch (_tag) {
    case "ConnectionError":
      return `${said}; is the server running, and is the URL postgres://USER:PASSWORD@HOST/NAME?`
    case "AuthenticationError":
      return `${said}; check the URL's user and password`
    case "AuthorizationError":
      return `${said}; the user must be allowed to create tables`
    default:
      return said
  }
}
