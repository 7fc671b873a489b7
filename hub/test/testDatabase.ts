/**
 * Which database the hubs of tests have: SQLite, or PostgreSQL where Vitest's project says so (vitest.config.ts), on
 * the server that `AGENTLIP_TEST_POSTGRES` names (`scripts/with-postgres.sh` starts one and sets it).
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted, type Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import { createHash } from "node:crypto"

const server =
  process.env["AGENTLIP_TEST_DATABASE"] === "PostgreSQL" ? process.env["AGENTLIP_TEST_POSTGRES"] : undefined

export const onPostgres = server !== undefined

/** A schema is made and dropped in milliseconds, a database is not. */
const schemaOf = (workspace: string): string =>
  `hub_test_${createHash("sha256").update(workspace).digest("hex").slice(0, 16)}`

const urlOf = (server: string, workspace: string): string => {
  const url = new URL(server)
  url.searchParams.set("options", `-c search_path=${schemaOf(workspace)}`)
  return url.href
}

/** The option `database` of a workspace's hubs; none on SQLite. */
export const databaseOf = (workspace: string): { readonly database?: Redacted.Redacted } =>
  server === undefined ? {} : { database: Redacted.make(urlOf(server, workspace)) }

/** Statements that make writes to a table fail where the condition (on the row `NEW`) holds, and that end it. */
export const refusing = (table: string, write: "INSERT" | "UPDATE", condition: string) =>
  onPostgres
    ? {
        begin: `DO $do$ BEGIN
          CREATE FUNCTION refuse() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
          CREATE TRIGGER refuse BEFORE ${write} ON ${table} FOR EACH ROW WHEN (${condition}) EXECUTE FUNCTION refuse();
          END $do$`,
        end: "DROP FUNCTION refuse() CASCADE"
      }
    : {
        begin: `CREATE TRIGGER refuse BEFORE ${write} ON ${table} WHEN ${condition}
          BEGIN SELECT RAISE(ABORT, 'refused'); END`,
        end: "DROP TRIGGER refuse"
      }

/** An empty schema that goes with the scope. */
export const makeDatabase = (workspace: string): Effect.Effect<void, never, Scope.Scope> => {
  if (server === undefined) return Effect.void
  const admin = PgClient.make({ url: Redacted.make(server), maxConnections: 1 }).pipe(
    Effect.provide(Reactivity.layer)
  )
  const run = (statement: string) =>
    Effect.orDie(Effect.scoped(Effect.flatMap(admin, (sql) => sql.unsafe(statement))))
  const schema = schemaOf(workspace)
  return Effect.asVoid(
    Effect.acquireRelease(run(`CREATE SCHEMA ${schema}`), () => run(`DROP SCHEMA ${schema} CASCADE`))
  )
}
