/** The log by itself and against what was sent: it tells one story, and nothing that nobody asked for. */
import { isDeepStrictEqual } from "node:util"
import type { Json } from "../testHub.ts"
import type { Database } from "./Database.ts"
import type { Change, Ledger, Operation } from "./Ledger.ts"
import type { Text } from "./texts.ts"

/** A message as the log tells it. */
export interface Told {
  readonly topic: string
  text: Text
  content: string
  version: number
  content_version: number
  deleted: boolean
  /** Number of the operation that changed it last. */
  operation: number
  /** Plugins that have reported on this content. */
  readonly enriched: Set<string>
}

export const numberOf = (text: string): number => Number(/^op(\d+)/.exec(text)?.[1] ?? Number.NaN)

export const expectedEnrichments = ({ shouts }: Text): ReadonlyArray<Json> =>
  shouts.map(({ start, end, text }) => ({ kind: "shout", span: { start, end }, data: { text } }))

const kinds: ReadonlyMap<string, Change["kind"]> = new Map([
  ["message.created", "post"],
  ["message.edited", "edit"],
  ["message.deleted", "delete"]
])

/** What an event of a message says, whichever of the three it is. */
export const claims = ({
  name,
  data
}: Json): { content: string | undefined; version: number; number: number } => {
  if (name === "message.deleted") {
    return { content: undefined, version: data.version, number: numberOf(data.deleted_by) }
  }
  const content: string = name === "message.created" ? data.message.content_raw : data.new_content
  const version = name === "message.created" ? data.message.version : data.version
  return { content, version, number: numberOf(content) }
}

const textOf = ({ change }: Operation): Text | undefined => ("text" in change ? change.text : undefined)

export interface Verdict {
  readonly told: ReadonlyMap<string, Told>
  /** The event of each operation that happened, by the operation's number. */
  readonly happened: ReadonlyMap<number, Json>
  readonly violations: ReadonlyArray<string>
}

export const verifyLog = (ledger: Ledger, { events }: Database): Verdict => {
  const violations: Array<string> = []
  const sent = new Map(ledger.operations.map((operation) => [operation.number, operation]))
  const happened = new Map<number, Json>()
  const told = new Map<string, Told>()
  let newest = ""
  let previous = 0

  const change = (event: Json, kind: Change["kind"]): void => {
    const where = `event ${event.event_id} (${event.name})`
    const { content, version, number } = claims(event)
    const operation = sent.get(number)
    if (operation === undefined) return void violations.push(`${where} is of no operation that was sent`)
    if (happened.has(number)) violations.push(`${where}: operation ${number} has an event already`)
    happened.set(number, event)
    const text = textOf(operation)
    const id: string = event.entity_id
    const isWhatWasSent =
      kind === operation.change.kind &&
      content === text?.content &&
      ("message" in operation.change ? operation.change.message === id : true)
    if (!isWhatWasSent) violations.push(`${where} is not what operation ${number} sent`)
    const message = told.get(id)
    if (operation.change.kind === "post") {
      if (message !== undefined) violations.push(`${where}: the message is there already`)
      if (id <= newest) violations.push(`${where}: the id ${id} does not sort after ${newest}`)
      newest = id
      if (text === undefined) return
      const { topic } = operation.change
      const enriched = new Set<string>()
      told.set(id, {
        topic,
        text,
        content: text.content,
        version,
        content_version: 1,
        deleted: false,
        operation: number,
        enriched
      })
      return
    }
    if (message === undefined || message.deleted)
      return void violations.push(`${where}: there is no such message`)
    if (version !== message.version + 1)
      violations.push(`${where}: version ${version} after ${message.version}`)
    if (number < message.operation)
      violations.push(`${where}: operation ${number} after ${message.operation}`)
    message.version = version
    message.operation = number
    if (text === undefined) {
      message.deleted = true
      message.content = "[deleted]"
    } else {
      message.text = text
      message.content = text.content
      message.content_version++
      message.enriched.clear()
    }
  }

  const enriched = ({ event_id, data }: Json): void => {
    const where = `event ${event_id} (message.enriched)`
    const message = told.get(data.message_id)
    if (message === undefined || message.deleted)
      return void violations.push(`${where}: there is no such message`)
    if (message.enriched.has(data.plugin_name))
      violations.push(`${where} says again what was said of this content`)
    message.enriched.add(data.plugin_name)
    const found = data.enrichments.map(({ kind, span, data }: Json) => ({ kind, span, data }))
    if (!isDeepStrictEqual(found, expectedEnrichments(message.text))) {
      violations.push(`${where} is not of the content that the message had`)
    }
  }

  for (const event of events) {
    if (event.event_id !== previous + 1)
      violations.push(`event ${event.event_id} comes after event ${previous}`)
    previous = event.event_id
    const kind = kinds.get(event.name)
    if (kind !== undefined) change(event, kind)
    else if (event.name === "message.enriched") enriched(event)
  }

  return { told, happened, violations }
}
