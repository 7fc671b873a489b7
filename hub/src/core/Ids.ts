/** Ids that sort in creation order. */
import { Clock, Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"

const counterBits = 20n
const digits = 17

/** Recent events searched for the highest id at the start. Ids grow with events, so the newest events name it. */
const remembered = 10_000

const write = (id: bigint): string => id.toString(16).padStart(digits, "0")

/**
 * Creates ids of 17 hexadecimal digits: milliseconds since the epoch and a counter. Each id is greater than every
 * earlier one of any kind, even after a restart or when the clock is set back.
 *
 * **Gotchas**: call it inside the transaction that uses the ids. On PostgreSQL other hubs create ids too; only the
 * transaction's lock makes ids follow the order of the transactions.
 */
export class Ids extends Context.Service<
  Ids,
  {
    readonly next: Effect.Effect<string, SqlError.SqlError>
    /** Reserves `count` ids. Each call of the returned function gives the next one, in ascending order. */
    readonly reserve: (count: number) => Effect.Effect<() => string, SqlError.SqlError>
  }
>()("@agentlip/hub/Ids") {
  static readonly layer: Layer.Layer<Ids, SqlError.SqlError, SqlClient.SqlClient> = Layer.effect(
    Ids,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const reserve = yield* sql.onDialectOrElse({
        pg: () => Effect.succeed(ofSequence(sql)),
        orElse: () => ofProcess(sql)
      })
      return Ids.of({ reserve, next: Effect.map(reserve(1), (next) => next()) })
    })
  )
}

const countUp = (id: bigint) => (): string => write(id++)

/** For SQLite: this process is the only one that creates ids. */
const ofProcess = Effect.fnUntraced(function* (sql: SqlClient.SqlClient) {
  // Findings may be deleted, but events still mention their ids.
  const recent = sql`event_id > (SELECT max(event_id) FROM events) - ${remembered}`
  const [row] = yield* sql<{ last: string | null }>`
        SELECT max(last) AS last FROM (
          SELECT max(id) AS last FROM channels
          UNION ALL SELECT max(id) FROM topics
          UNION ALL SELECT max(id) FROM messages
          UNION ALL SELECT max(id) FROM attachments
          UNION ALL SELECT max(id) FROM enrichments
          UNION ALL SELECT max(entity_id) FROM events WHERE ${recent} AND entity_type <> 'plugin'
          UNION ALL SELECT max(value) FROM events, json_each(data_json, '$.enrichment_ids')
            WHERE ${recent} AND name = 'message.enriched'
        )`
  let last = typeof row?.last === "string" ? BigInt(`0x${row.last}`) : 0n
  return (count: number): Effect.Effect<() => string> =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const fresh = BigInt(now) << counterBits
      const first = fresh > last ? fresh : last + 1n
      last = first + BigInt(count - 1)
      return countUp(first)
    })
})

/** For PostgreSQL: uses the server's clock and sequence, because the clocks of the hubs may differ. */
const ofSequence =
  (sql: SqlClient.SqlClient) =>
  (count: number): Effect.Effect<() => string, SqlError.SqlError> =>
    Effect.flatMap(
      sql<{ last: string }>`
        SELECT setval('ids', ${count - 1} + greatest(
          nextval('ids'), (extract(epoch FROM clock_timestamp()) * 1000)::bigint << ${Number(counterBits)}
        ))::text AS last`,
      ([row]) =>
        row === undefined
          ? Effect.die("setval answered no row")
          : Effect.succeed(countUp(BigInt(row.last) - BigInt(count - 1)))
    )
