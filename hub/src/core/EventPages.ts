/** Reads the event log, in pages. */
import type { EventData, EventName } from "@agentlip/protocol"
import { Effect } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import { Pages } from "../database/Pages.ts"
import type { LoggedEvent } from "./Event.ts"

export interface EventQuery {
  /** Only events after this number. */
  readonly after: number
  /** At most this many events, from the start of the range. */
  readonly limit: number
  /** If set: the last `tail` events instead of the first `limit`. */
  readonly tail?: number | undefined
  /** Bound for all events together, as JSON. The page has at least one event. Default 1 MiB. */
  readonly maxBytes?: number
  /** Only events of these channels or topics. If both lists are empty, all events. */
  readonly channels: ReadonlyArray<string>
  readonly topics: ReadonlyArray<string>
}

/** Tells a reader that events are missing. It is sent in their place and never stored. */
export const prunedName: EventName = "events.pruned"

export interface EventPage {
  /**
   * The page has every matching event up to this number, unless it reached the number of events asked for. It is the
   * number of the newest event, or of the page's last event if the byte bound ended the page.
   */
  readonly replay_until: number
  /** In ascending order. */
  readonly events: ReadonlyArray<LoggedEvent>
  /** There are more matching events: after these, or with `tail` before these. */
  readonly has_more: boolean
  /** Events up to this number were pruned, and none of them is on the page. 0 if none was. */
  readonly pruned_until: number
}

/**
 * The events of a page for a reader that has those up to `after`. If events between were pruned, the first one says
 * so. Its number is that of the last pruned event.
 */
export const withoutGap = (after: number, { events, pruned_until }: EventPage, now: string) => {
  if (pruned_until <= after) return events
  const marker: LoggedEvent = {
    event_id: pruned_until,
    ts: now,
    name: prunedName,
    channel_id: null,
    topic_id: null,
    topic_id2: null,
    entity_type: "event",
    entity_id: String(pruned_until),
    data_json: JSON.stringify({ after, pruned_until } satisfies EventData<"events.pruned">)
  }
  return [marker, ...events]
}

/** The key in `meta` of the number up to which events were pruned. */
export const prunedKey = "events_pruned_until"

/** Scopes queried by one statement. */
const scopesAtOnce = 64

type Scope = readonly [column: "channel_id" | "topic_id" | "topic_id2", id: string]

export const makeEventPages = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const pages = yield* Pages
  const givenNumbers = Dialect.given(sql, { id: "bigint" })
  const columns = sql.literal(
    "event_id, ts, name, channel_id, topic_id, topic_id2, entity_type, entity_id, data_json"
  )

  const pruned = sql`(SELECT CAST(value AS BIGINT) FROM meta WHERE key = ${prunedKey})`
  const numberOf = (query: Statement.Fragment) =>
    Effect.map(sql<{ n: number | null }>`SELECT ${query} AS n`, ([row]) => row?.n ?? 0)
  const prunedUntil = numberOf(pruned)
  const newest = numberOf(sql`COALESCE((SELECT max(event_id) FROM events), ${pruned})`)

  /** The numbers of events in some scopes, in order: merged from the indexes, reading only as many as needed. */
  const numbersOf = (scopes: ReadonlyArray<Scope>, range: Statement.Fragment, order: string, count: number) =>
    sql<{ event_id: number }>`
      ${Dialect.merged(
        sql,
        scopes.map(
          ([column, id]) => sql`SELECT event_id FROM events WHERE ${sql(column)} = ${id} AND ${range}`
        ),
        `ORDER BY event_id ${order}`,
        count
      )}`

  /** The numbers of the first `count` matching events, from the oldest or the newest side. */
  const matching = Effect.fnUntraced(function* (
    scopes: ReadonlyArray<Scope>,
    range: Statement.Fragment,
    descending: boolean,
    count: number
  ) {
    const found = new Set<number>()
    for (let at = 0; at < scopes.length; at += scopesAtOnce) {
      const some = scopes.slice(at, at + scopesAtOnce)
      const numbers = yield* numbersOf(some, range, descending ? "DESC" : "ASC", count)
      for (const { event_id } of numbers) found.add(event_id)
      yield* Effect.yieldNow
    }
    const numbers = [...found].sort((one, other) => (descending ? other - one : one - other))
    return numbers.slice(0, count)
  })

  const list = Effect.fnUntraced(function* ({ after, tail, channels, topics, ...query }: EventQuery) {
    // Read this first, so that `replay_until` covers no event that the query below misses.
    const last = yield* newest
    const limit = tail ?? query.limit
    const descending = tail !== undefined
    const order = sql.literal(descending ? "DESC" : "ASC")
    const scopes: ReadonlyArray<Scope> = [
      ...new Set(channels).values().map((id): Scope => ["channel_id", id]),
      ...new Set(topics).values().flatMap(
        (id): ReadonlyArray<Scope> => [
          ["topic_id", id],
          ["topic_id2", id]
        ]
      )
    ]
    const inRange = sql`event_id > ${after} AND event_id <= ${last}`
    const numbers = scopes.length === 0 ? undefined : yield* matching(scopes, inRange, descending, limit + 1)

    const rest = (row: LoggedEvent | undefined) =>
      row === undefined
        ? inRange
        : descending
          ? sql`event_id > ${after} AND event_id < ${row.event_id}`
          : sql`event_id > ${row.event_id} AND event_id <= ${last}`
    const { rows, has_more } = yield* pages.page<LoggedEvent, SqlError.SqlError, never>({
      limit,
      maxBytes: query.maxBytes,
      read: (count, row, index) =>
        numbers === undefined
          ? sql`SELECT ${columns} FROM events WHERE ${rest(row)} ORDER BY event_id ${order} LIMIT ${count}`
          : sql`
              SELECT ${columns} FROM events
              WHERE event_id IN (SELECT id FROM ${givenNumbers(
                numbers.slice(index, index + count).map((id) => ({ id }))
              )}) ORDER BY event_id ${order}`
    })
    // Read this last: events may have been pruned while the page was read.
    const pruned_until = yield* prunedUntil
    const kept = rows.filter(({ event_id }) => event_id > pruned_until)
    const ended = has_more && rows.length < limit
    return {
      replay_until: ended && !descending ? Math.max(rows.at(-1)?.event_id ?? last, pruned_until) : last,
      events: descending ? kept.toReversed() : kept,
      has_more,
      pruned_until
    }
  })

  return { newest, prunedUntil, list }
})
