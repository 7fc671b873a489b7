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

/**
 * For SQLite: this process is the only one that creates ids. The database records a mark that no id has passed, as
 * `last_id` in the table `meta`. The next process starts after it.
 */
const ofProcess = Effect.fnUntraced(function* (sql: SqlClient.SqlClient) {
  const [row] = yield* sql<{ value: string }>`SELECT value FROM meta WHERE key = 'last_id'`
  let last = row === undefined ? 0n : BigInt(`0x${row.value}`)
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
      return last <= mark ? Effect.succeed(countUp(first)) : Effect.map(raiseMark(now), () => countUp(first))
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
