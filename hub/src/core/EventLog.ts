/** The log of everything that happened: appended to in the transaction of the change, never changed. */
import type { EventData, EventName } from "@agentlip/protocol"
import { Context, Effect, Latch, Layer, Option } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import { Hubs } from "../database/Hubs.ts"
import { Pages } from "../database/Pages.ts"
import { timestamp } from "../timestamp.ts"

interface Event<Name extends EventName> {
  readonly name: Name
  /** What no channel is concerned by has none. */
  readonly scope: {
    readonly channel_id: string | null
    readonly topic_id?: string
    readonly topic_id2?: string
  }
  readonly entity: {
    readonly type: "channel" | "topic" | "message" | "attachment" | "plugin"
    readonly id: string
  }
  readonly data: EventData<Name>
}

/** An event that has not happened yet: number and time come from the log. */
export type NewEvent = { readonly [Name in EventName]: Event<Name> }[EventName]

export interface EventQuery {
  /** Only events after this number. */
  readonly after: number
  /** The first so many of them. */
  readonly limit: number
  /** The last so many of them, instead of the first. */
  readonly tail?: number | undefined
  /** Of all of them together, as JSON; at least one is given. Default 1 MiB. */
  readonly maxBytes?: number
  /** Only events of these channels or topics; none given means all. */
  readonly channels: ReadonlyArray<string>
  readonly topics: ReadonlyArray<string>
}

/** An event as the log has it: `data_json` is the text that was written, which nobody needs to read here. */
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

/** What has happened and where, as clients see it beside the data. */
export const envelopeOf = ({ ts, channel_id, topic_id, topic_id2, entity_type, entity_id }: LoggedEvent) => ({
  ts,
  scope: { channel_id, topic_id, topic_id2 },
  entity: { type: entity_type, id: entity_id }
})

export interface EventPage {
  /**
   * All events that were asked for and have a number up to this are on the page, unless it has as many as were asked
   * for. It is the newest event's number, or where bytes have ended the page its last event's.
   */
  readonly replay_until: number
  /** In ascending order. */
  readonly events: ReadonlyArray<LoggedEvent>
  /** There are others that were asked for: after these, or with `tail` before these. */
  readonly has_more: boolean
}

/** Scopes that are looked for in one statement. */
const scopesAtOnce = 64

type Scope = readonly [column: "channel_id" | "topic_id" | "topic_id2", id: string]

export class EventLog extends Context.Service<
  EventLog,
  {
    /** Appends an event and answers its number; call it inside the transaction that makes the change. */
    readonly append: (event: NewEvent) => Effect.Effect<number, SqlError.SqlError>
    /** Appends events in their order, as one statement, and answers their numbers. */
    readonly appendAll: (
      events: ReadonlyArray<NewEvent>
    ) => Effect.Effect<ReadonlyArray<number>, SqlError.SqlError>
    /** Open after a commit that brought events; whoever reads them closes it first. */
    readonly arrivals: Latch.Latch
    /** The number of the newest event there is; 0 where there is none. */
    readonly newest: Effect.Effect<number, SqlError.SqlError>
    readonly list: (query: EventQuery) => Effect.Effect<EventPage, SqlError.SqlError>
  }
>()("@agentlip/hub/EventLog") {
  static readonly layer: Layer.Layer<EventLog, never, SqlClient.SqlClient | Hubs> = Layer.effect(
    EventLog,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const hubs = yield* Hubs
      const pages = yield* Pages
      const givenEvents = Dialect.given(sql, {
        name: "text",
        channel_id: "text",
        topic_id: "text",
        topic_id2: "text",
        entity_type: "text",
        entity_id: "text",
        data_json: "text"
      })
      const givenNumbers = Dialect.given(sql, { id: "integer" })
      const arrivals = Latch.makeUnsafe(false)
      const toldNumber = hubs.tell("events", "event_id")
      hubs.listen("events", () => arrivals.openUnsafe())
      const announce = sql.afterCommit(Effect.sync(() => arrivals.openUnsafe()))

      /** Of its own where nobody has one: an event's number is drawn under the lock that a transaction has. */
      const inTransaction = <A, E, R>(change: Effect.Effect<A, E, R>) =>
        Effect.flatMap(Effect.serviceOption(sql.transactionService), (open) =>
          Option.isSome(open) ? change : sql.withTransaction(change)
        )

      const append = Effect.fnUntraced(function* ({ name, scope, entity, data }: NewEvent) {
        const ts = yield* timestamp
        const rows = yield* sql<{ event_id: number }>`
          INSERT INTO events (ts, name, channel_id, topic_id, topic_id2, entity_type, entity_id, data_json)
          VALUES (${ts}, ${name}, ${scope.channel_id}, ${scope.topic_id ?? null}, ${scope.topic_id2 ?? null},
            ${entity.type}, ${entity.id}, ${JSON.stringify(data)})${toldNumber}`
        yield* announce
        const [row] = rows
        return row === undefined ? yield* Effect.die("INSERT … RETURNING answered no row") : row.event_id
      }, inTransaction)

      const appendAll = Effect.fnUntraced(function* (events: ReadonlyArray<NewEvent>) {
        if (events.length === 0) return []
        const ts = yield* timestamp
        const rows = events.map(({ name, scope, entity, data }) => ({
          ...scope,
          name,
          entity_type: entity.type,
          entity_id: entity.id,
          data_json: JSON.stringify(data)
        }))
        const numbered = yield* sql<{ event_id: number }>`
          INSERT INTO events (ts, name, channel_id, topic_id, topic_id2, entity_type, entity_id, data_json)
          SELECT ${ts}, name, channel_id, topic_id, topic_id2, entity_type, entity_id, data_json
          FROM ${givenEvents(rows)} ORDER BY position${toldNumber}`
        yield* announce
        return numbered.map(({ event_id }) => event_id).sort((one, other) => one - other)
      }, inTransaction)

      const newest = Effect.map(
        sql<{ event_id: number }>`SELECT COALESCE(max(event_id), 0) AS event_id FROM events`,
        ([row]) => row?.event_id ?? 0
      )

      /** Numbers of events of some scopes, in order: what the indexes have, merged, and no more read than is wanted. */
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

      /** The numbers of matching events, as many as are wanted, from the side that is read first. */
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
        // First, so that it promises no event that the rows below do not have.
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
              ? sql`SELECT * FROM events WHERE ${rest(row)} ORDER BY event_id ${order} LIMIT ${count}`
              : sql`
                  SELECT * FROM events
                  WHERE event_id IN (SELECT id FROM ${givenNumbers(
                    numbers.slice(index, index + count).map((id) => ({ id }))
                  )}) ORDER BY event_id ${order}`
        })
        const ended = has_more && rows.length < limit
        return {
          replay_until: ended && !descending ? (rows.at(-1)?.event_id ?? last) : last,
          events: descending ? rows.toReversed() : rows,
          has_more
        }
      })

      return EventLog.of({ append, appendAll, arrivals, newest, list })
    })
  ).pipe(Layer.provide(Pages.layer))
}
