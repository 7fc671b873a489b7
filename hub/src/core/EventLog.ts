/** The log of everything that happened: appended to in the transaction of the change, never changed. */
import type { EventData, EventName, HubEvent } from "@agentlip/protocol"
import { Context, Effect, Latch, Layer, Option } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import { Hubs } from "../database/Hubs.ts"
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
  readonly tail?: number
  /** Only events of these channels or topics; none given means all. */
  readonly channels: ReadonlyArray<string>
  readonly topics: ReadonlyArray<string>
}

interface EventRow {
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

const toEvent = (row: EventRow): HubEvent => ({
  event_id: row.event_id,
  ts: row.ts,
  name: row.name,
  data_json: JSON.parse(row.data_json),
  scope: { channel_id: row.channel_id, topic_id: row.topic_id, topic_id2: row.topic_id2 },
  entity: { type: row.entity_type, id: row.entity_id }
})

export class EventLog extends Context.Service<
  EventLog,
  {
    /** Appends an event and answers its number; call it inside the transaction that makes the change. */
    readonly append: (event: NewEvent) => Effect.Effect<number, SqlError.SqlError>
    /** Appends events in their order, as one statement. */
    readonly appendAll: (events: ReadonlyArray<NewEvent>) => Effect.Effect<void, SqlError.SqlError>
    /** Open after a commit that brought events; whoever reads them closes it first. */
    readonly arrivals: Latch.Latch
    /** Events in ascending order, and the number of the newest event there is. */
    readonly list: (
      query: EventQuery
    ) => Effect.Effect<
      { readonly replay_until: number; readonly events: ReadonlyArray<HubEvent> },
      SqlError.SqlError
    >
  }
>()("@agentlip/hub/EventLog") {
  static readonly layer: Layer.Layer<EventLog, never, SqlClient.SqlClient | Hubs> = Layer.effect(
    EventLog,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const hubs = yield* Hubs
      const givenEvents = Dialect.given(sql, {
        name: "text",
        channel_id: "text",
        topic_id: "text",
        topic_id2: "text",
        entity_type: "text",
        entity_id: "text",
        data_json: "text"
      })
      const arrivals = Latch.makeUnsafe(false)
      const told = hubs.tell("events")
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
        if (events.length === 0) return
        const ts = yield* timestamp
        const rows = events.map(({ name, scope, entity, data }) => ({
          ...scope,
          name,
          entity_type: entity.type,
          entity_id: entity.id,
          data_json: JSON.stringify(data)
        }))
        yield* sql`
          INSERT INTO events (ts, name, channel_id, topic_id, topic_id2, entity_type, entity_id, data_json)
          SELECT ${ts}, name, channel_id, topic_id, topic_id2, entity_type, entity_id, data_json
          FROM ${givenEvents(rows)} ORDER BY position${told}`
        yield* announce
      }, inTransaction)

      const list = Effect.fnUntraced(function* ({ after, limit, tail, channels, topics }: EventQuery) {
        const scopes = [
          ...(channels.length > 0 ? [sql.in("channel_id", channels)] : []),
          ...(topics.length > 0 ? [sql.in("topic_id", topics), sql.in("topic_id2", topics)] : [])
        ]
        // First, so that it promises no event that the rows below do not have.
        const [newest] = yield* sql<{ event_id: number }>`
          SELECT COALESCE(max(event_id), 0) AS event_id FROM events`
        const replay_until = newest?.event_id ?? 0
        const filter = sql.and([
          sql`event_id > ${after} AND event_id <= ${replay_until}`,
          ...(scopes.length > 0 ? [sql.or(scopes)] : [])
        ])
        const order = sql.literal(tail === undefined ? "ASC" : "DESC")
        const rows = yield* sql<EventRow>`
          SELECT * FROM events WHERE ${filter} ORDER BY event_id ${order} LIMIT ${tail ?? limit}`
        const events = rows.map(toEvent)
        return { replay_until, events: tail === undefined ? events : events.reverse() }
      })

      return EventLog.of({ append, appendAll, arrivals, list })
    })
  )
}
