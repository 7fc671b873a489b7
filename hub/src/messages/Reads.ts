/** The reads of the API, by its endpoints. The hub serves them, and commands call them when no hub runs. */
import { InvalidInput } from "@agentlip/protocol"
import { Effect } from "effect"
import { envelopeOf } from "../core/Event.ts"
import { EventLog } from "../core/EventLog.ts"
import type { EventPage } from "../core/EventPages.ts"
import { JsonText, listJson, spliceJson } from "../core/JsonText.ts"
import type { Offset } from "../database/Pages.ts"
import { Findings } from "../jobs/Findings.ts"
import { Jobs } from "../jobs/Jobs.ts"
import { type AttachmentQuery, Attachments } from "./Attachments.ts"
import { type MessageQuery, Messages } from "./Messages.ts"
import { Topics } from "./Topics.ts"

/** A page of the log as JSON. The data of an event is JSON text already and is inserted unchanged. */
const eventsJson = ({ replay_until, events, has_more, pruned_until }: EventPage): JsonText => {
  const texts = events.map((event) => spliceJson(envelopeOf(event), "data_json", event.data_json))
  const page = { replay_until, has_more, ...(pruned_until > 0 ? { pruned_until } : {}) }
  return new JsonText(spliceJson(page, "events", listJson(texts)))
}

/** A page of a list whose items are JSON text already. */
const listOf =
  (field: string) =>
  ({ items, ...page }: { readonly items: ReadonlyArray<string> }): JsonText =>
    new JsonText(spliceJson(page, field, listJson(items)))

interface Query<Q> {
  readonly query: Q
}

interface ById<Q = unknown> extends Query<Q> {
  readonly params: { readonly id: string }
}

/** A page of events: the first `limit` after `after`, or the newest `tail`. Without ids: of all channels and topics. */
interface EventsQuery {
  readonly after?: number | undefined
  readonly limit?: number | undefined
  readonly tail?: number | undefined
  readonly channel_id?: ReadonlyArray<string> | undefined
  readonly topic_id?: ReadonlyArray<string> | undefined
}

/** The reads, with the API's defaults. A `JsonText` is the JSON of the response. */
export const makeReads = Effect.gen(function* () {
  const topics = yield* Topics
  const messages = yield* Messages
  const attachments = yield* Attachments
  const findings = yield* Findings
  const jobs = yield* Jobs
  const events = yield* EventLog
  return {
    channels: ({ query }: Query<Parameters<typeof topics.channels>[0]>) => topics.channels(query),
    topics: ({ params: { id }, query: { limit = 50, offset = 0 } }: ById<Offset>) =>
      topics.list(id, { limit, offset }),
    messages: ({ query }: Query<Omit<MessageQuery, "limit"> & Pick<Offset, "limit">>) =>
      messages.list({ ...query, limit: query.limit ?? 50 }),
    message: ({ params: { id } }: Pick<ById, "params">) =>
      Effect.map(messages.get(id), (message) => ({ message })),
    enrichments: ({ params: { id }, query }: ById<Offset>) =>
      Effect.andThen(messages.get(id), Effect.map(findings.enrichments(id, query), listOf("enrichments"))),
    findings: ({
      query: { message_id, ...page }
    }: Query<Parameters<typeof findings.list>[1] & { readonly message_id: ReadonlyArray<string> }>) =>
      Effect.map(findings.list(message_id, page), listOf("findings")),
    derivations: ({ params: { id }, query }: ById<Offset>) =>
      Effect.andThen(
        messages.get(id),
        Effect.map(jobs.ofMessage(id, query), ({ jobs, has_more }) => ({ derivations: jobs, has_more }))
      ),
    attachments: ({ params: { id }, query }: ById<AttachmentQuery>) =>
      Effect.map(attachments.list(id, query), listOf("attachments")),
    events: Effect.fnUntraced(function* ({
      query: { after, limit = 100, tail, channel_id = [], topic_id = [] }
    }: Query<EventsQuery>) {
      if (after !== undefined && tail !== undefined) {
        return yield* new InvalidInput({ error: "tail: cannot be used together with after" })
      }
      return eventsJson(
        yield* events.list({ after: after ?? 0, limit, tail, channels: channel_id, topics: topic_id })
      )
    })
  }
})
