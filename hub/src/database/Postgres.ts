/**
 * Effect's `SqlClient` over a pool of connections to PostgreSQL, with transactions that behave like SQLite's.
 *
 * **Details**: a transaction first takes the one lock that all hubs of a database share, and holds it until commit or
 * rollback. If it reads and then writes, no other transaction changes the data in between, and its event numbers
 * follow the order of commits. Statements outside a transaction do not wait for the lock.
 *
 * **Gotchas**: a read-only transaction takes the lock too, so read with single statements. Poolers that give each
 * transaction another connection do not work, because the hub listens for notifications.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, type Duration, Effect, Layer, Option, Redacted, Result, Semaphore } from "effect"
import { Reactivity } from "effect/reactivity"
import { type SqlClient, SqlError } from "effect/sql"

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`; its `options` may set a `search_path`. */
  readonly url: Redacted.Redacted
  /** Most connections. Default 10: one writes, one listens, the others read. */
  readonly maxConnections?: number
  /** Time limit for opening a connection. Default 5 seconds. */
  readonly connectTimeout?: Duration.Input
  /** Reject every write. Default `false`. */
  readonly readOnly?: boolean
}

/** Set on every connection, to override the defaults of the server and the database. */
const settings = {
  // With a stricter level, the snapshot would be older than the lock and miss what its last holder wrote.
  default_transaction_isolation: "read committed",
  // A hub that hangs inside a transaction must not block the others for long.
  idle_in_transaction_session_timeout: "10s",
  lock_timeout: "10s"
}

const makeTypes = (): PgTypes.Registry => {
  const types = PgTypes.makeRegistry()
  const narrow = (value: bigint): number | bigint =>
    BigInt.asIntN(54, value) === value ? Number(value) : value
  // Like the SQLite client: a number if it is exact, otherwise a bigint.
  types.register<number | bigint>(PgTypes.OID.int8, {
    encode: (value) => PgTypes.encode(BigInt(value), PgTypes.OID.int8),
    decode: (bytes) =>
      Result.succeed(narrow(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigInt64(0)))
  })
  return types
}

/** The name that `pg_stat_activity` shows. */
const applicationName = (url: Redacted.Redacted): string =>
  URL.parse(Redacted.value(url))?.searchParams.get("application_name") ?? "agentlip-hub"

/** Creates a client that lives as long as its scope. See `layer`. */
export const make = Effect.fnUntraced(function* (options: PostgresOptions) {
  const client = yield* PgClient.make({
    url: options.url,
    maxConnections: options.maxConnections ?? 10,
    applicationName: applicationName(options.url),
    startupParameters:
      options.readOnly === true ? { ...settings, default_transaction_read_only: "on" } : settings,
    types: makeTypes(),
    ...(options.connectTimeout === undefined ? {} : { connectTimeout: options.connectTimeout })
  }).pipe(
    // The server lives on real time. With a test's clock, an hour that passes at once would time out and reopen
    // thousands of connections.
    Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())
  )
  // Only one transaction of this process waits for the lock, so that the other connections stay free for reads.
  const writer = yield* Semaphore.make(1)
  const lock = client`
    SELECT pg_advisory_xact_lock(hashtextextended('agentlip ' || current_schema(), 0))`
  const begin = client.withTransaction
  const withTransaction: SqlClient.SqlClient["withTransaction"] = (effect) =>
    Effect.flatMap(
      Effect.serviceOption(client.transactionService),
      Option.match({
        onNone: () =>
          writer.withPermit(begin(Effect.andThen(lock, effect))).pipe(
            // The rollback fails too if the connection was lost, but then the server has rolled back.
            Effect.catchDefect((defect) =>
              defect instanceof SqlError.SqlError ? Effect.fail(defect) : Effect.die(defect)
            )
          ),
        onSome: () => begin(effect)
      })
    )
  return Object.assign(client, { withTransaction })
})

/**
 * Provides `SqlClient` on a PostgreSQL database (version 13 or later), closed with the layer's scope.
 *
 * **Errors**: the first statement opens the connection. It fails with a `SqlError` whose reason is `ConnectionError`
 * if the server cannot be reached, and `AuthenticationError` if the server rejects the user.
 *
 * @example
 * ```ts
 * Postgres.layer({ url: Redacted.make("postgres://agentlip@localhost/agentlip") })
 * ```
 */
export const layer = (
  options: PostgresOptions
): Layer.Layer<PgClient.PgClient | SqlClient.SqlClient, SqlError.SqlError> =>
  PgClient.layerFrom(make(options)).pipe(Layer.provide(Reactivity.layer))
