/** Ids that sort in creation order. */
import { Clock, Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"

const counterBits = 20n
const digits = 17

/** How far the recorded mark is ahead of the clock: it is written once in this many milliseconds. */
const markedAhead = 10_000n << counterBits

/** How far it is ahead of the last id at least, for times when the clock is behind the ids. */
const leastAhead = 1n << 16n

const write = (id: bigint): string => id.toString(16).padStart(digits, "0")

/** The key in `meta` of a text before each id: in a database of Agentlip v1, new ids must sort after v1's. */
const prefixKey = "id_prefix"

/**
 * Creates ids of 17 hexadecimal digits: milliseconds since the epoch and a counter. Each id is greater than every
 * earlier one of any kind, even after a restart or when the clock is set back. In a database that was migrated from
 * Agentlip v1 they have two letters in front.
 *
 * **Gotchas**: call it inside the transaction that uses the ids. On PostgreSQL other hubs create ids too; only the
 * transaction's lock makes ids follow the order of the transactions.
 */
export class Ids extends Context.Service<
  Ids,
  {
    readonly next: Effect.Effect<string, SqlError.SqlError>
    /** A text that sorts after every id created before this time, and before every later one. */
    readonly at: (millis: number) => string
    /** Reserves `count` ids. Each call of the returned function gives the next one, in ascending order. */
    readonly reserve: (count: number) => Effect.Effect<() => string, SqlError.SqlError>
  }
>()("@agentlip/hub/Ids") {
  static readonly layer: Layer.Layer<Ids, SqlError.SqlError, SqlClient.SqlClient> = Layer.effect(
    Ids,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const [row] = yield* sql<{ value: string }>`SELECT value FROM meta WHERE key = ${prefixKey}`
      const prefix = row?.value ?? ""
      const reserve = yield* sql.onDialectOrElse({
        pg: () => Effect.succeed(ofSequence(sql)),
        orElse: () => ofProcess(sql, prefix)
      })
      return Ids.of({
        reserve,
        next: Effect.map(reserve(1), (next) => next()),
        at: (millis) => prefix + write(BigInt(millis) << counterBits)
      })
    })
  )
}

const countUp =
  (id: bigint, prefix = "") =>
  (): string =>
    prefix + write(id++)

/**
 * For SQLite: this process is the only one that creates ids. The database records a mark that no id has passed, as
 * `last_id` in the table `meta`. The next process starts after it.
 */
const ofProcess = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, prefix: string) {
  const [row] = yield* sql<{ value: string }>`SELECT value FROM meta WHERE key = 'last_id'`
  let last = BigInt(`0x${row?.value ?? "0"}`)
  /** The recorded mark, without those of transactions that have not committed. */
  let mark = last

  const raiseMark = (now: bigint) => {
    const next = now + markedAhead > last + leastAhead ? now + markedAhead : last + leastAhead
    return Effect.andThen(
      sql`
        INSERT INTO meta (key, value) VALUES ('last_id', ${write(next)})
        ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
      sql.afterCommit(
        Effect.sync(() => {
          mark = next
        })
      )
    )
  }

  return (count: number): Effect.Effect<() => string, SqlError.SqlError> =>
    Effect.flatMap(Clock.currentTimeMillis, (millis) => {
      const now = BigInt(millis) << counterBits
      const first = now > last ? now : last + 1n
      last = first + BigInt(count - 1)
      const next = countUp(first, prefix)
      return last <= mark ? Effect.succeed(next) : Effect.as(raiseMark(now), next)
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
