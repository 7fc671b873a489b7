/**
 * The database that a SQL suite runs on: SQLite, or PostgreSQL in Vitest's project of that name, on the server that
 * `AGENTLIP_TEST_POSTGRES` names (`scripts/with-postgres.sh` starts one and sets it).
 */
import { PgClient } from "@effect/sql-pg"
import { Deferred, Effect, Layer, Redacted, Schedule, type Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, SqlError } from "effect/sql"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Sqlite from "../../hub/src/database/Sqlite.ts"

type Client = SqlClient.SqlClient

/** One fresh database; nothing is left of it when its Scope closes. */
export interface Database {
  /** A client of its own, as another process would have one. */
  readonly connect: Effect.Effect<Client, SqlError.SqlError, Scope.Scope>
  /** Runs a statement that meets another client's lock until it is through; completes `met` when it has met it. */
  readonly meetLock: (
    met: Deferred.Deferred<void>
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError.SqlError, R>
}

export interface Dialect {
  readonly name: "SQLite" | "PostgreSQL"
  readonly available: boolean
  readonly database: Effect.Effect<Database, SqlError.SqlError, Scope.Scope>
  /** How else a client may begin its transactions, beside its own way. */
  readonly begin: string
}

const clientOf = <E>(layer: Layer.Layer<Client, E>): Effect.Effect<Client, E, Scope.Scope> =>
  Effect.flatMap(Layer.build(layer), (services) => Effect.provide(SqlClient.SqlClient, services))

/** Whether the same again may go through: a busy database, a serialisation conflict. */
export const isRetryable = (error: unknown): boolean =>
  error instanceof SqlError.SqlError && error.isRetryable

const soon = Schedule.spaced("3 millis")

const sqlite: Dialect = {
  name: "SQLite",
  available: true,
  begin: "BEGIN DEFERRED",
  database: Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "plugin-runtime-sqlite-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
    )
    const layer = () => Sqlite.layer({ filename: path.join(folder, "db.sqlite3"), busyTimeoutMs: 0 })
    return {
      connect: Effect.suspend(() => clientOf(layer())),
      meetLock: (met) => (effect) =>
        effect.pipe(
          Effect.tapError((error) => (isRetryable(error) ? Deferred.succeed(met, undefined) : Effect.void)),
          Effect.retry({ while: isRetryable, schedule: soon })
        )
    }
  })
}

const serverUrl = process.env["AGENTLIP_TEST_POSTGRES"]

const pgClient = (url: string) =>
  PgClient.make({ url: Redacted.make(url), maxConnections: 5 }).pipe(Effect.provide(Reactivity.layer))

const postgres = (server: string): Dialect => ({
  name: "PostgreSQL",
  available: server !== "",
  begin: "BEGIN ISOLATION LEVEL REPEATABLE READ",
  database: Effect.gen(function* () {
    const admin = yield* pgClient(server)
    // A schema is made and dropped in milliseconds, a database is not; every client finds itself in it.
    const name = `plugin_runtime_${randomBytes(6).toString("hex")}`
    yield* Effect.acquireRelease(admin`CREATE SCHEMA ${admin(name)}`, () =>
      Effect.orDie(admin`DROP SCHEMA ${admin(name)} CASCADE`)
    )
    const url = new URL(server)
    url.searchParams.set("options", `-c search_path=${name}`)
    url.searchParams.set("application_name", name)
    const waiting = admin<{ count: number }>`
      SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE application_name = ${name} AND wait_event_type = 'Lock'
    `
    const met = Effect.repeat(waiting, {
      until: ([row]) => row !== undefined && row.count > 0,
      schedule: soon
    })
    return {
      connect: pgClient(url.href),
      meetLock: (signal) => (effect) =>
        Effect.scoped(
          Effect.andThen(
            Effect.forkScoped(Effect.andThen(met, Deferred.succeed(signal, undefined))),
            effect.pipe(Effect.retry({ while: isRetryable, schedule: soon }))
          )
        )
    }
  })
})

/** One of them; a list, because suites are written for each of several. */
export const dialects: ReadonlyArray<Dialect> =
  process.env["AGENTLIP_TEST_DATABASE"] === "PostgreSQL" ? [postgres(serverUrl ?? "")] : [sqlite]
