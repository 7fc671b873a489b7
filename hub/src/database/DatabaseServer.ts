/** Explains why a PostgreSQL database cannot be used, and what to do. */
import { Redacted, Schema } from "effect"
import { type Migrator, SqlError } from "effect/sql"

/** The PostgreSQL database cannot be reached, or it rejects the hub. */
export class ServerUnusable extends Schema.TaggedError<ServerUnusable>("@agentlip/hub/ServerUnusable")(
  "ServerUnusable",
  {
    /** Server and database name, without user and password. */
    database: Schema.String,
    reason: Schema.String
  }
) {
  override get message(): string {
    return `The hub cannot use ${this.database}: ${this.reason}`
  }
}

/** Names the database of a URL without its user and password. */
const nameOf = (url: Redacted.Redacted): string => {
  const { host = "", pathname = "", searchParams } = URL.parse(Redacted.value(url)) ?? {}
  return `the database ${pathname.slice(1) || "(none)"} of ${searchParams?.get("host") ?? (host || "(no server)")}`
}

/** Converts an error of PostgreSQL or of the connection to `ServerUnusable`. */
export const unusable = (
  url: Redacted.Redacted,
  error: SqlError.SqlError | Migrator.MigrationError
): ServerUnusable =>
  new ServerUnusable({
    database: nameOf(url),
    reason: error._tag === "SqlError" ? reasonOf(error) : reasonOf(error.cause, error.message)
  })

/** The server works, but the database cannot be used. */
export const refused = (url: Redacted.Redacted, reason: string): ServerUnusable =>
  new ServerUnusable({ database: nameOf(url), reason })

const reasonOf = (error: unknown, otherwise = String(error)): string => {
  if (!(error instanceof SqlError.SqlError)) return otherwise
  const { cause, _tag } = error.reason
  const said = cause instanceof Error ? cause.message : error.message
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  // The original message would show the URL with its password.
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
