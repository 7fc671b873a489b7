/** The clients that follow live events: which events each wants, and what waits for it. */
import { Deferred, Effect, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { LiveEvent, Subscriptions } from "@agentlip/protocol"
import { envelopeOf, type LoggedEvent } from "./Event.ts"
import { prunedName } from "./EventPages.ts"
import { spliceJson } from "./JsonText.ts"
import { WakeUp } from "./WakeUp.ts"

/** The listener was too slow and was disconnected. It reconnects with its last `event_id`. */
export class Backpressure extends Schema.TaggedError<Backpressure>("@agentlip/hub/Backpressure")(
  "Backpressure",
  {}
) {
  override get message(): string {
    return "The client does not keep up with the events"
  }
}

/** An event as it is sent. `text` is built once for all listeners. */
export interface FeedEvent {
  readonly event_id: number
  readonly name: string
  readonly text: string
}

/** Why a listener no longer gets events. */
export type Failure = Backpressure | SqlError.SqlError

export const toWire = (event: LoggedEvent): FeedEvent => {
  const { event_id, name, data_json } = event
  const envelope: Omit<LiveEvent, "data"> = { type: "event", ...envelopeOf(event) }
  return { event_id, name, text: spliceJson(envelope, "data", data_json) }
}

const matcher = (subscriptions: Subscriptions | undefined): ((event: LoggedEvent) => boolean) => {
  if (subscriptions === undefined) return () => true
  const channels = new Set<string | null>(subscriptions.channels)
  const topics = new Set<string | null>(subscriptions.topics)
  return ({ channel_id, topic_id, topic_id2 }) =>
    channels.has(channel_id) || topics.has(topic_id) || topics.has(topic_id2)
}

/** One client, with the events that wait for it in memory. */
export class Listener {
  readonly wants: (event: LoggedEvent) => boolean
  readonly #arrivals = new WakeUp()
  readonly #ended = Deferred.makeUnsafe<never, Failure>()
  #buffered: Array<FeedEvent> = []
  #size = 0

  constructor(subscriptions: Subscriptions | undefined) {
    this.wants = matcher(subscriptions)
  }

  /** Fails when the listener is ended. */
  get ended(): Effect.Effect<never, Failure> {
    return Deferred.await(this.#ended)
  }

  /** Waits for events and takes all of them. There may be none. */
  readonly take: Effect.Effect<ReadonlyArray<FeedEvent>> = Effect.map(this.#arrivals.next, () => {
    const events = this.#buffered
    this.#buffered = []
    this.#size = 0
    return events
  })

  /** Returns the characters that wait now. */
  add(event: FeedEvent): number {
    this.#buffered.push(event)
    this.#size += event.text.length
    this.#arrivals.ring()
    return this.#size
  }

  end(failure: Failure): void {
    this.#buffered = []
    Deferred.doneUnsafe(this.#ended, Effect.fail(failure))
  }
}

/** All listeners of a hub. */
export class Listeners {
  readonly #all = new Set<Listener>()
  readonly #maxBuffered: number

  /** `maxBuffered`: characters of JSON that may wait for one listener before it is ended. */
  constructor(maxBuffered: number) {
    this.#maxBuffered = maxBuffered
  }

  get isEmpty(): boolean {
    return this.#all.size === 0
  }

  add(listener: Listener): void {
    this.#all.add(listener)
  }

  remove(listener: Listener): void {
    this.#all.delete(listener)
  }

  publish(event: LoggedEvent): void {
    let wire: FeedEvent | undefined
    for (const listener of this.#all) {
      // Whatever a listener wants: it may have been among the pruned events.
      if (event.name !== prunedName && !listener.wants(event)) continue
      wire ??= toWire(event)
      if (listener.add(wire) > this.#maxBuffered) this.#end(listener, new Backpressure())
    }
  }

  endAll(failure: Failure): void {
    for (const listener of this.#all) this.#end(listener, failure)
  }

  #end(listener: Listener, failure: Failure): void {
    this.#all.delete(listener)
    listener.end(failure)
  }
}
