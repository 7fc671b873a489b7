/**
 * The live event feed: sends committed events, in log order, to every listener.
 *
 * **Details**
 *
 * - The log in the database is the source. A commit wakes the single reader, which reads new events once for all
 *   listeners. Without listeners it reads nothing.
 * - The reader takes events that this process has just committed from memory, if no number is missing.
 * - A listener first gets the events it missed, in pages from the log. It joins the live feed once it has caught up,
 *   so its buffer in memory holds only events that came after that.
 */
import { Context, Deferred, Duration, Effect, Layer, type Scope, Semaphore } from "effect"
import type { SqlError } from "effect/sql"
import type { Subscriptions } from "@agentlip/protocol"
import { timestamp } from "../timestamp.ts"
import type { LoggedEvent } from "./Event.ts"
import { EventLog } from "./EventLog.ts"
import { withoutGap } from "./EventPages.ts"
import { Backpressure, type Failure, type FeedEvent, Listener, Listeners, toWire } from "./Listeners.ts"
import { Outage } from "../database/Outage.ts"
import { makePlaces } from "./Places.ts"

export interface LiveOptions {
  /** WebSockets and event streams open at the same time. Clients without the token get at most half. Default 100. */
  readonly maxSockets?: number
  /** Characters of JSON buffered for one client before it is disconnected. Default 16 Mi. */
  readonly maxBuffered?: number
}

/** Size of one read from the log: what each client that catches up holds in memory. */
const page = { limit: 64, maxBytes: 256 * 1024 } as const

/** A client that accepts no data for this long is disconnected. */
const patience = Duration.seconds(15)

/** How long clients may take to leave when the hub stops. */
const farewell = Duration.millis(800)

/** Fails with `Backpressure` if the client accepts no data for 15 seconds. */
export const unlessStalled = <A, E, R>(
  write: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Backpressure, R> =>
  Effect.timeoutOrElse(write, { duration: patience, orElse: () => Effect.fail(new Backpressure()) })

export class Feed extends Context.Service<
  Feed,
  {
    /** The number of the newest event; 0 if there is none. */
    readonly newest: Effect.Effect<number, SqlError.SqlError>
    /**
     * Sends every matching event after `after`, each once and in order: first those in the log, then live ones. Pass
     * an `after` of at most `newest`. Calls `send` with one batch at a time; `send` returns when the client has taken
     * it. Ends when the hub stops.
     *
     * **Errors**: `Backpressure` if too much is buffered; `SqlError` if the log cannot be read.
     *
     * @example
     * ```ts
     * yield* feed.follow(0, { topics: [topic] }, (events) => Effect.log(events.map(({ text }) => text)))
     * ```
     */
    readonly follow: <E, R>(
      after: number,
      subscriptions: Subscriptions | undefined,
      send: (events: ReadonlyArray<FeedEvent>) => Effect.Effect<void, E, R>
    ) => Effect.Effect<void, E | Failure, R>
    /**
     * Takes a place for a client until the scope closes. Returns `false` if all places are taken or the hub stops.
     * Clients without the hub's token get at most half of the places.
     */
    readonly admit: (hasToken: boolean) => Effect.Effect<boolean, never, Scope.Scope>
    /** Completes when the hub stops. */
    readonly stopping: Effect.Effect<void>
    /** Ends every `follow` and waits up to 0.8 s for the clients to leave. */
    readonly stop: Effect.Effect<void>
  }
>()("@agentlip/hub/Feed") {
  static readonly layer = ({
    maxSockets = 100,
    maxBuffered = 16 * 1024 * 1024
  }: LiveOptions = {}): Layer.Layer<Feed, never, EventLog> =>
    Layer.effect(
      Feed,
      Effect.gen(function* () {
        const log = yield* EventLog
        const places = yield* makePlaces(maxSockets)
        const reading = yield* Semaphore.make(1)
        const stopped = yield* Deferred.make<void>()
        const listeners = new Listeners(maxBuffered)
        /** Every event up to this number has been handed to the listeners that want it. */
        let last = 0

        const everything = { channels: [], topics: [] }
        const { newest } = log

        const publishNext = (event: LoggedEvent): void => {
          listeners.publish(event)
          last = event.event_id
        }

        /** Publishes what was committed. Returns false if events may be missing. */
        const publishCommitted = (): boolean => {
          const events = log.takeCommitted()
          if (events === undefined) return false
          for (const event of events) {
            if (event.event_id > last + 1) return false
            if (event.event_id > last) publishNext(event)
          }
          return true
        }

        /** Call it with the `reading` permit. */
        const readNew = Effect.gen(function* () {
          while (!listeners.isEmpty) {
            const found = yield* log.list({ after: last, ...page, ...everything })
            for (const event of withoutGap(last, found, yield* timestamp)) {
              publishNext(event)
            }
            if (!found.has_more) return
            yield* Effect.yieldNow
          }
        })

        const outage = new Outage({
          begun: "events could not be read; clients that follow them reconnect",
          ended: "events can be read again"
        })
        yield* Effect.gen(function* () {
          while (true) {
            yield* log.arrivals.next
            yield* Effect.suspend(() => (publishCommitted() ? Effect.void : readNew)).pipe(
              reading.withPermit,
              Effect.andThen(outage.over),
              // The clients reconnect and read the log from where they were.
              Effect.catch((failure) => {
                listeners.endAll(failure)
                return outage.log(failure)
              })
            )
          }
        }).pipe(Effect.forkScoped)

        /** Adds a listener. Returns the number of the last event before its live ones. */
        const join = (listener: Listener) =>
          Effect.acquireRelease(
            Effect.gen(function* () {
              // From the log: its newest events may not have been handed over yet, but the listener has read them.
              yield* readNew
              if (listeners.isEmpty) last = yield* newest
              listeners.add(listener)
              return last
            }).pipe(reading.withPermit),
            () => Effect.sync(() => listeners.remove(listener))
          )

        const follow = <E, R>(
          after: number,
          subscriptions: Subscriptions | undefined,
          send: (events: ReadonlyArray<FeedEvent>) => Effect.Effect<void, E, R>
        ): Effect.Effect<void, E | Failure, R> => {
          const { channels = [], topics = [] } = subscriptions ?? {}
          // Handled here because the log treats an empty list as "all events".
          if (subscriptions !== undefined && channels.length + topics.length === 0)
            return Deferred.await(stopped)
          let cursor = after

          /** Sends the events of the log after the cursor, up to the event `until`. */
          const replay = Effect.fnUntraced(function* (until: number) {
            while (cursor < until) {
              const found = yield* log.list({ after: cursor, ...page, channels, topics })
              const all = withoutGap(cursor, found, yield* timestamp)
              const events = all.filter(({ event_id }) => event_id <= until)
              if (events.length > 0) yield* send(events.map(toWire))
              if (!found.has_more || events.length < all.length) {
                cursor = Math.min(until, found.replay_until)
                return
              }
              cursor = events.at(-1)?.event_id ?? cursor
            }
          })

          const live = Effect.fnUntraced(function* (listener: Listener) {
            while (true) {
              const events = yield* listener.take
              if (events.length > 0) yield* send(events)
            }
          })

          return Effect.gen(function* () {
            yield* replay(Number.POSITIVE_INFINITY)
            const listener = new Listener(subscriptions)
            const since = yield* join(listener)
            return yield* Effect.raceFirst(listener.ended, Effect.andThen(replay(since), live(listener)))
          }).pipe(Effect.scoped, Effect.raceFirst(Deferred.await(stopped)))
        }

        const stop = Deferred.succeed(stopped, undefined).pipe(
          Effect.andThen(places.close),
          Effect.timeoutOption(farewell),
          Effect.asVoid
        )

        return Feed.of({ newest, follow, admit: places.admit, stopping: Deferred.await(stopped), stop })
      })
    )
}
