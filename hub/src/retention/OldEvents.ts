/**
 * Finds and removes the oldest events.
 *
 * **Details**
 *
 * - The number of the last removed event is recorded in the transaction that removes it. So readers notice the gap, and
 *   numbers are never used again.
 * - Every statement looks at a few thousand numbers at most, so posts never wait for long.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { EventLog } from "../core/EventLog.ts"
import { prunedKey } from "../core/EventPages.ts"

/** Numbers of events that one statement counts. */
const countedAtOnce = 5_000

/** Events removed by one transaction. */
const removedAtOnce = 200

export interface OldEvents {
  /** Remove only events before the first one of this time or later. Default: of any age. */
  readonly before?: string | undefined
  /** The newest events to keep. Default 0. */
  readonly keep?: number | undefined
}

/** Finds the last event to remove, and counts how many there are. */
export const findOldEvents = Effect.fnUntraced(function* ({ before, keep = 0 }: OldEvents) {
  const sql = yield* SqlClient.SqlClient
  const log = yield* EventLog
  const numberOf = (text: string) =>
    Effect.map(sql.unsafe<{ n: number | null }>(`SELECT (${text}) AS n`), ([row]) => row?.n ?? undefined)
  const countIn = (from: number, to: number) =>
    Effect.map(
      sql<{ n: number | string }>`
        SELECT count(*) AS n FROM events WHERE event_id > ${from} AND event_id <= ${to}`,
      ([row]) => Number(row?.n ?? 0)
    )

  const newest = yield* log.newest
  const first = (yield* numberOf("SELECT min(event_id) FROM events")) ?? newest + 1

  /** The last event before the newest ones that are kept. */
  const beforeKept = Effect.gen(function* () {
    let left = keep
    for (let to = newest; to >= first; to -= countedAtOnce) {
      const from = to - countedAtOnce
      const count = yield* countIn(from, to)
      if (left < count) {
        const [row] = yield* sql<{ event_id: number }>`
          SELECT event_id FROM events WHERE event_id > ${from} AND event_id <= ${to}
          ORDER BY event_id DESC LIMIT 1 OFFSET ${left}`
        return row?.event_id ?? first - 1
      }
      left -= count
      yield* Effect.yieldNow
    }
    return first - 1
  })

  // A backfill that reads events goes on first.
  const needed = yield* numberOf(
    "SELECT min(at_event) FROM backfills WHERE state = 'running' AND at_message IS NULL AND at_event < last_event"
  )
  const last = Math.min(yield* beforeKept, needed ?? newest)
  let count = 0
  for (let from = first - 1; from < last; from += countedAtOnce) {
    const to = Math.min(from + countedAtOnce, last)
    const [row] =
      before === undefined
        ? []
        : yield* sql<{ n: number | null }>`
            SELECT min(event_id) AS n FROM events
            WHERE event_id > ${from} AND event_id <= ${to} AND ts >= ${before}`
    const younger = row?.n ?? undefined
    if (younger !== undefined) {
      return { last: younger - 1, count: count + (yield* countIn(from, younger - 1)) }
    }
    count += yield* countIn(from, to)
    yield* Effect.yieldNow
  }
  return { last, count }
})

/** Removes the oldest events up to `last`, a few of them. Returns how many; 0 if there are no more. */
export const removeOldEvents = (last: number) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    return yield* Effect.gen(function* () {
      const [row] = yield* sql<{ n: number | null }>`
        SELECT max(event_id) AS n FROM
          (SELECT event_id FROM events WHERE event_id <= ${last} ORDER BY event_id LIMIT ${removedAtOnce}) AS oldest`
      const to = row?.n
      if (to === null || to === undefined) return 0
      yield* sql`
        INSERT INTO meta (key, value) VALUES (${prunedKey}, ${String(to)})
        ON CONFLICT (key) DO UPDATE SET value = excluded.value`
      return (yield* sql`DELETE FROM events WHERE event_id <= ${to} RETURNING event_id`).length
    }).pipe(sql.withTransaction)
  })
