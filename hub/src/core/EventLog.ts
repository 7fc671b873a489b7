/** The append-only log of everything that happened. An event is written in the transaction of its change. */
import type { EventData, EventName } from "@agentlip/protocol"
import { Context, Effect, Layer, Option } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import * as EachRow from "../database/EachRow.ts"
import { Hubs } from "../database/Hubs.ts"
import { Pages } from "../database/Pages.ts"
import { JsonText } from "./JsonText.ts"
import { WakeUp } from "./WakeUp.ts"

interface Event<Name extends EventName> {
  readonly name: Name
  /** `null` if the event belongs to no channel. */
  readonly scope: {
    readonly channel_id: string | null
    readonly topic_id?: string
    readonly topic_id2?: string
  }
  readonly entity: {
    readonly type: "channel" | "topic" | "message" | "attachment" | "plugin"
    readonly id: string
  }
  /** Data that is JSON already is stored as it is. */
  readonly data: EventData<Name> | JsonText
}

/** An event to append: the log adds its number. */
export type NewEvent = { readonly [Name in EventName]: Event<Name> }[EventName]

const jsonOf = (data: NewEvent["data"]): string =>
  data instanceof JsonText ? data.text : JSON.stringify(data)

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

/** An event as the log stores it. `data_json` is passed on as text, without parsing. */
export interface LoggedEvent {
  readonly event_id: number
  readonly ts: string
  readonly name: string
  readonly channel_id: string | null
  readonly topic_id: string | null
  readonly topic_id2: string | null
  readonly entity_type: string
  readonly entity_id: string
  readonly data_json: string
}

/** The parts of an event beside its data, as clients see them. */
export const envelopeOf = (event: LoggedEvent) => {
  const { event_id, ts, name, channel_id, topic_id, topic_id2, entity_type, entity_id } = event
  return {
    event_id,
    ts,
    name,
    scope: { channel_id, topic_id, topic_id2 },
    entity: { type: entity_type, id: entity_id }
  }
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

export class EventLog extends Context.Service<
  EventLog,
  {
    /**
     * Appends an event and returns its number. Call it inside the transaction that makes the change, with the time of
     * the change.
     */
    readonly append: (event: NewEvent, at: string) => Effect.Effect<number, SqlError.SqlError>
    /** Appends events in order, and returns their numbers. */
    readonly appendAll: (
      events: ReadonlyArray<NewEvent>,
      at: string
    ) => Effect.Effect<ReadonlyArray<number>, SqlError.SqlError>
    /** Rings after a commit that added events, and when another hub may have added some. For one reader. */
    readonly arrivals: WakeUp
    /** Calls `heard` whenever `arrivals` rings. It must return at once. */
    readonly onArrival: (heard: () => void) => void
    /** The number of the newest event, even if it was pruned; 0 if there was none. */
    readonly newest: Effect.Effect<number, SqlError.SqlError>
    /** Events up to this number were pruned; 0 if none was. */
    readonly prunedUntil: Effect.Effect<number, SqlError.SqlError>
    readonly list: (query: EventQuery) => Effect.Effect<EventPage, SqlError.SqlError>
  }
>()("@agentlip/hub/EventLog") {
  static readonly layer: Layer.Layer<EventLog, never, SqlClient.SqlClient | Hubs> = Layer.effect(
    EventLog,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const hubs = yield* Hubs
      const pages = yield* Pages
      const givenNumbers = Dialect.given(sql, { id: "integer" })
      const columns = sql.literal(
        "event_id, ts, name, channel_id, topic_id, topic_id2, entity_type, entity_id, data_json"
      )
      const arrivals = new WakeUp()
      const addEvents = EachRow.insert(
        sql,
        "events",
        {
          ts: "text",
          name: "text",
          channel_id: "text",
          topic_id: "text",
          topic_id2: "text",
          entity_type: "text",
          entity_id: "text",
          data_json: "text"
        },
        hubs.tell("events", "event_id")
      )
      const listeners = [arrivals.ring]
      const arrive = () => {
        for (const heard of listeners) heard()
      }
      hubs.listen("events", arrive)
      const announce = sql.afterCommit(Effect.sync(arrive))

      /**
       * Runs in the open transaction, or in a new one: event numbers must be assigned under the transaction's lock.
       */
      const inTransaction = <A, E, R>(change: Effect.Effect<A, E, R>) =>
        Effect.flatMap(Effect.serviceOption(sql.transactionService), (open) =>
          Option.isSome(open) ? change : sql.withTransaction(change)
        )

      const appendAll = Effect.fnUntraced(function* (events: ReadonlyArray<NewEvent>, at: string) {
        if (events.length === 0) return []
        const numbers = yield* addEvents(
          events.map(({ name, scope, entity, data }) => ({
            ...scope,
            ts: at,
            name,
            entity_type: entity.type,
            entity_id: entity.id,
            data_json: jsonOf(data)
          }))
        )
        yield* announce
        return numbers
      }, inTransaction)

      const append = (event: NewEvent, at: string) =>
        Effect.flatMap(appendAll([event], at), ([number]) =>
          number === undefined ? Effect.die("the new event has no number") : Effect.succeed(number)
        )

      const pruned = sql`(SELECT CAST(value AS BIGINT) FROM meta WHERE key = ${prunedKey})`
      const numberOf = (query: Statement.Fragment) =>
        Effect.map(sql<{ n: number | null }>`SELECT ${query} AS n`, ([row]) => row?.n ?? 0)
      const prunedUntil = numberOf(pruned)
      const newest = numberOf(sql`COALESCE((SELECT max(event_id) FROM events), ${pruned})`)

      /** The numbers of events in some scopes, in order: merged from the indexes, reading only as many as needed. */
      const numbersOf = (
        scopes: ReadonlyArray<Scope>,
        range: Statement.Fragment,
        order: string,
        count: number
      ) =>
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
        const numbers =
          scopes.length === 0 ? undefined : yield* matching(scopes, inRange, descending, limit + 1)

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

      return EventLog.of({
        append,
        appendAll,
        arrivals,
        onArrival: (heard) => void listeners.push(heard),
        newest,
        prunedUntil,
        list
      })
    })
  ).pipe(Layer.provide(Pages.layer))
}
