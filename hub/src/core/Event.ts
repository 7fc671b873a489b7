/** An event before it is appended to the log, and as the log stores it. */
import type { EventData, EventName } from "@agentlip/protocol"
import type { JsonText } from "./JsonText.ts"

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
