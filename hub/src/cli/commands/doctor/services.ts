/** Checks the PostgreSQL and Redis servers that the hub is configured for. Changes nothing on them. */
import { Effect, Logger, Option, type Redacted, Result } from "effect"
import { SqlClient } from "effect/sql"
import * as DatabaseServer from "../../../database/DatabaseServer.ts"
import * as Migrations from "../../../database/Migrations.ts"
import { oldestPending } from "../../../jobs/table/JobLists.ts"
import { type Check, checkOf } from "./Check.ts"

const within = "5 seconds"
/** A hub asks several times for each message, so a far server slows it down. In milliseconds. */
const slow = 50
const oldestVersion = 13

const near = "run the hub near the server"

interface PostgresFacts {
  readonly version: number
  readonly name: string
  readonly standby: boolean
  /** `undefined` if the hub has not created its tables yet. */
  readonly tables: number | undefined
  readonly hubs: number
  /** Age of the oldest job that has not run, in seconds. */
  readonly lag: number
  readonly millis: number
}

const askPostgres = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  // Opens the connection, which must not count.
  yield* sql`SELECT 1`
  const begin = performance.now()
  const [server] = yield* sql<{ version: string; name: string; standby: boolean; migrated: boolean }>`
    SELECT current_setting('server_version_num') AS version, current_setting('server_version') AS name,
      pg_is_in_recovery() AS standby, to_regclass('migrations') IS NOT NULL AS migrated`
  const millis = performance.now() - begin
  const facts = {
    version: Math.floor(Number(server?.version) / 10_000),
    name: server?.name ?? "",
    standby: server?.standby === true,
    millis
  }
  if (server?.migrated !== true) return { ...facts, tables: undefined, hubs: 0, lag: 0 }
  const [tables] = yield* sql<{ n: number }>`SELECT max(migration_id) AS n FROM migrations`
  const [hubs] = yield* sql<{ n: number }>`SELECT count(*) AS n FROM hubs WHERE alive_until > now()`
  const since = yield* oldestPending
  const lag = since === null ? 0 : Math.max(0, (Date.now() - Date.parse(since)) / 1_000)
  const found: PostgresFacts = { ...facts, tables: Number(tables?.n), hubs: Number(hubs?.n), lag }
  return found
})

const postgres = Effect.fnUntraced(function* (url: Redacted.Redacted) {
  const { ok, warning, problem } = checkOf("postgresql")
  const { layer } = yield* Effect.promise(() => import("../../../database/Postgres.ts"))
  const asked = yield* askPostgres.pipe(
    Effect.provide(layer({ url, maxConnections: 1, connectTimeout: within })),
    Effect.mapError((error) => DatabaseServer.unusable(url, error).message),
    Effect.timeoutOrElse({
      duration: within,
      orElse: () => Effect.fail(`The server did not answer within ${within}`)
    }),
    Effect.result
  )
  if (Result.isFailure(asked))
    return problem(asked.failure, "correct AGENTLIP_DATABASE or --database, or start the server")
  const { version, name, standby, tables, hubs, lag, millis } = asked.success
  if (version < oldestVersion)
    return problem(`it is version ${name}`, `use PostgreSQL ${oldestVersion} or newer`)
  if (standby) return problem("it is a standby, which cannot be written to", "name the primary server")
  if (tables !== undefined && tables > Migrations.tablesVersion)
    return problem(`its tables are of version ${tables}, newer than this hub's`, "use a newer agentlip")
  const state =
    tables === undefined
      ? "no tables yet; the first hub creates them"
      : `tables of version ${tables}, ${hubs} hubs, oldest pending job ${Math.round(lag)} s`
  const text = `version ${name}, answers in ${millis.toFixed(1)} ms; ${state}`
  return millis > slow ? warning(text, near) : ok(text)
})

const redis = Effect.fnUntraced(function* (url: Redacted.Redacted) {
  const { ok, warning, problem } = checkOf("redis")
  const { look } = yield* Effect.promise(() => import("../../../plugins/SharedBreaker.ts"))
  const asked = yield* look(url).pipe(
    Effect.mapError(({ message }) => message),
    Effect.timeoutOrElse({
      duration: within,
      orElse: () => Effect.fail(`The server did not answer within ${within}`)
    }),
    Effect.result
  )
  if (Result.isFailure(asked))
    return problem(asked.failure, "correct AGENTLIP_REDIS or --redis, or start the server")
  const { version, millis } = asked.success
  const text = `version ${version}, answers in ${millis.toFixed(1)} ms`
  return millis > slow ? warning(text, near) : ok(text)
})

/** Nothing is checked for a hub that uses neither. */
export const serviceChecks = Effect.fnUntraced(
  function* (urls: {
    readonly database: Option.Option<Redacted.Redacted>
    readonly redis: Option.Option<Redacted.Redacted>
  }) {
    const checks: Array<Check> = []
    if (Option.isSome(urls.database)) checks.push(yield* postgres(urls.database.value))
    if (Option.isSome(urls.redis)) checks.push(yield* redis(urls.redis.value))
    return checks
    // The checks say what the drivers would log.
  },
  Effect.provideService(Logger.CurrentLoggers, new Set())
)
