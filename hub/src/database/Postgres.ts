/**
 * Effect's `SqlClient` over a pool of connections to PostgreSQL, with transactions that are to the hub what SQLite's are.
 *
 * **Details**: a transaction first takes the one lock that all hubs of a database share, and holds it until it is
 * committed or rolled back. So whoever reads in it and then writes sees no change of others between the two, and what
 * it numbers is numbered in the order of commits. Statements outside of a transaction wait for nobody.
 *
 * **Gotchas**: a transaction that only reads takes the lock too; read with single statements. Poolers that give every
 * transaction another connection do not work: the hub listens for notifications.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { type Duration, Effect, Layer, Option, Redacted, Result, Semaphore } from "effect"
import { Reactivity } from "effect/reactivity"
import { type SqlClient, SqlError } from "effect/sql"

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`; its `options` may set a `search_path`. */
  readonly url: Redacted.Redacted
  /** Connections at most. Default 10; one writes, one listens, the others read. */
  readonly maxConnections?: number
  /** How long a connection may take to be made. Default 5 seconds. */
  readonly connectTimeout?: Duration.Input
}

/** Sent by every connection, whatever the server's or the database's defaults are. */
const settings = {
  // A later snapshot would be older than the lock, and not see what its last holder wrote.
  default_transaction_isolation: "read committed",
  // A hub that stands still in the middle of a transaction must not hold up the others for long.
  idle_in_transaction_session_timeout: "10s",
  lock_timeout: "10s"
}

const makeTypes = (): PgTypes.Registry => {
  const types = PgTypes.makeRegistry()
  const narrow = (value: bigint): number | bigint =>
    BigInt.asIntN(54, value) === value ? Number(value) : value
  // As SQLite's client gives integers: a number where it is exact.
  types.register<number | bigint>(PgTypes.OID.int8, {
    encode: (value) => PgTypes.encode(BigInt(value), PgTypes.OID.int8),
    decode: (bytes) =>
      Result.succeed(narrow(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigInt64(0)))
  })
  return types
}

/** As `pg_stat_activity` shows them. */
const applicationName = (url: Redacted.Redacted): string =>
  URL.parse(Redacted.value(url))?.searchParams.get("application_name") ?? "agentlip-hub"

/** A client that lives as long as its scope; see `layer`. */
export const make = Effect.fnUntraced(function* (options: PostgresOptions) {
  const client = yield* PgClient.make({
    url: options.url,
    maxConnections: options.maxConnections ?? 10,
    applicationName: applicationName(options.url),
    startupParameters: settings,
    types: makeTypes(),
    ...(options.connectTimeout === undefined ? {} : { connectTimeout: options.connectTimeout })
  })
  // Of this process one transaction at a time waits for the lock, and the other connections are free to read.
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
            // A connection that is lost cannot be rolled back either: the server has done so.
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
 * Gives `SqlClient` on a PostgreSQL database (version 13 or later), closed with the layer's scope.
 *
 * **Errors**: nothing is connected before the first statement. Then a server that cannot be reached is a `SqlError`
 * (`ConnectionError`), and one that refuses the user an `AuthenticationError`.
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
