/** The append-only log of everything that happened. An event is written in the transaction of its change. */
import { Context, Effect, Layer, Option } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as EachRow from "../database/EachRow.ts"
import { Hubs } from "../database/Hubs.ts"
import { Pages } from "../database/Pages.ts"
import type { LoggedEvent, NewEvent } from "./Event.ts"
import { type EventPage, type EventQuery, makeEventPages } from "./EventPages.ts"
import { JsonText } from "./JsonText.ts"
import { WakeUp } from "./WakeUp.ts"

const jsonOf = (data: NewEvent["data"]): string =>
  data instanceof JsonText ? data.text : JSON.stringify(data)

/** Characters of committed events kept in memory for the feed. */
const maxCommitted = 256 * 1024

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
    /**
     * All events that were committed since the last call, in the order of their commits; `undefined` if there were too
     * many or other hubs commit events too. For the reader of `arrivals`.
     */
    readonly takeCommitted: () => ReadonlyArray<LoggedEvent> | undefined
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
      const { newest, prunedUntil, list } = yield* makeEventPages
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

      /** What `takeCommitted` returns next. Other hubs commit events too, if there are any. */
      const none = hubs.id === undefined ? [] : undefined
      let committed: ReadonlyArray<LoggedEvent> | undefined = none
      let size = 0
      const takeCommitted = () => {
        const events = committed
        committed = none
        size = 0
        return events
      }
      const announce = (events: ReadonlyArray<LoggedEvent>) =>
        sql.afterCommit(
          Effect.sync(() => {
            for (const { data_json } of events) size += data_json.length
            committed = size > maxCommitted ? undefined : committed?.concat(events)
            arrive()
          })
        )

      /**
       * Runs in the open transaction, or in a new one: event numbers must be assigned under the transaction's lock.
       */
      const inTransaction = <A, E, R>(change: Effect.Effect<A, E, R>) =>
        Effect.flatMap(Effect.serviceOption(sql.transactionService), (open) =>
          Option.isSome(open) ? change : sql.withTransaction(change)
        )

      const appendAll = Effect.fnUntraced(function* (events: ReadonlyArray<NewEvent>, at: string) {
        if (events.length === 0) return []
        const rows = events.map(({ name, scope: { channel_id, topic_id, topic_id2 }, entity, data }) => ({
          ts: at,
          name,
          channel_id,
          topic_id: topic_id ?? null,
          topic_id2: topic_id2 ?? null,
          entity_type: entity.type,
          entity_id: entity.id,
          data_json: jsonOf(data)
        }))
        const numbers = yield* addEvents(rows)
        yield* announce(rows.map((row, index) => ({ event_id: numbers[index] ?? 0, ...row })))
        return numbers
      }, inTransaction)

      const append = (event: NewEvent, at: string) =>
        Effect.flatMap(appendAll([event], at), ([number]) =>
          number === undefined ? Effect.die("the new event has no number") : Effect.succeed(number)
        )

      return EventLog.of({
        append,
        appendAll,
        arrivals,
        takeCommitted,
        onArrival: (heard) => void listeners.push(heard),
        newest,
        prunedUntil,
        list
      })
    })
  ).pipe(Layer.provide(Pages.layer))
}
