/** Ids that sort in creation order. */
import { Clock, Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"

const counterBits = 20n
const digits = 17

/** Events that are read at the start: ids grow with them, so that the highest is in the last that names one. */
const remembered = 10_000

const write = (id: bigint): string => id.toString(16).padStart(digits, "0")

/**
 * Gives ids: 17 hexadecimal digits, the milliseconds since the epoch and a counter. Each is greater than
 * every one before it, of any kind, also after a restart or when the clock is set back.
 *
 * **Gotchas**: ask inside the transaction that uses them. On PostgreSQL other hubs give ids too, and it is the
 * transaction's lock that makes theirs smaller or greater as their transaction is before or after.
 */
export class Ids extends Context.Service<
  Ids,
  {
    readonly next: Effect.Effect<string, SqlError.SqlError>
    /** Gives so many ids, one with each call, in ascending order. */
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

/** This process is the only one that gives ids. */
const ofProcess = Effect.fnUntraced(function* (sql: SqlClient.SqlClient) {
  // Rows of plugins go again, but the newest of them is still spoken of.
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

/** The server's clock and sequence, because those of the hubs would not agree. */
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
