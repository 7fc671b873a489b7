/** Connects the HTTP API to the hub's services, and applies the API's defaults. */
import { Clock, Effect, Layer, Redacted } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { SqlClient } from "effect/sql"
import { Api, InvalidInput, protocolVersions } from "@agentlip/protocol"
import { AuthToken } from "../workspace/AuthToken.ts"
import { proofOf } from "../workspace/Proof.ts"
import { Identity } from "../workspace/HubIdentity.ts"
import { Attachments } from "../messages/Attachments.ts"
import { Jobs } from "../jobs/Jobs.ts"
import { Findings } from "../jobs/Findings.ts"
import { envelopeOf, EventLog, type EventPage } from "../core/EventLog.ts"
import { messageChanged } from "../core/HubMetrics.ts"
import { listJson, spliceJson } from "../core/JsonText.ts"
import { Messages } from "../messages/Messages.ts"
import { Plugins } from "../plugins/Plugins.ts"
import { RecentRuns } from "../plugins/RecentRuns.ts"
import { Specs } from "../plugins/Specs.ts"
import { storageIsDefect } from "../database/StorageFailure.ts"
import { Topics } from "../messages/Topics.ts"

const HealthLive = (read_auth: boolean) =>
  HttpApiBuilder.group(
    Api,
    "health",
    Effect.fnUntraced(function* (handlers) {
      const { instance_id, db_id } = yield* Identity
      const token = Redacted.value(yield* AuthToken)
      const { pid } = process
      const started = yield* Clock.monotonicTimeNanos
      return handlers.handle("health", ({ query: { challenge } }) =>
        Effect.map(Clock.monotonicTimeNanos, (now) => ({
          status: "ok" as const,
          instance_id,
          db_id,
          ...protocolVersions,
          pid,
          uptime_seconds: Math.round(Number(now - started) / 1e6) / 1_000,
          ...(read_auth ? { read_auth } : {}),
          ...(challenge === undefined ? {} : { proof: proofOf(token, { challenge, instance_id, pid }) })
        }))
      )
    })
  )

/** A page of the log as JSON. The data of an event is JSON text already and is inserted unchanged. */
const eventsJson = ({ replay_until, events, has_more, pruned_until }: EventPage): string => {
  const texts = events.map((event) => spliceJson(envelopeOf(event), "data_json", event.data_json))
  return spliceJson(
    { replay_until, has_more, ...(pruned_until > 0 ? { pruned_until } : {}) },
    "events",
    listJson(texts)
  )
}

/** A page of a list whose items are JSON text already. */
const listOf =
  (field: string) =>
  ({ items, ...page }: { readonly items: ReadonlyArray<string> }) =>
    jsonResponse(spliceJson(page, field, listJson(items)))

const jsonResponse = (json: string) => HttpServerResponse.text(json, { contentType: "application/json" })

const ReadsLive = HttpApiBuilder.group(
  Api,
  "reads",
  Effect.fnUntraced(function* (handlers) {
    const topics = yield* Topics
    const messages = yield* Messages
    const attachments = yield* Attachments
    const findings = yield* Findings
    const jobs = yield* Jobs
    const events = yield* EventLog
    const plugins = yield* Plugins
    const recent = yield* RecentRuns
    const specs = yield* Specs
    return handlers.handleAll({
      channels: ({ query }) => topics.channels(query).pipe(storageIsDefect),
      topics: ({ params, query: { limit = 50, offset = 0 } }) =>
        topics.list(params.id, { limit, offset }).pipe(storageIsDefect),
      messages: ({ query }) => messages.list({ ...query, limit: query.limit ?? 50 }).pipe(storageIsDefect),
      message: ({ params: { id } }) =>
        messages.get(id).pipe(
          Effect.map((message) => ({ message })),
          storageIsDefect
        ),
      enrichments: ({ params: { id }, query }) =>
        messages
          .get(id)
          .pipe(
            Effect.andThen(findings.enrichments(id, query)),
            Effect.map(listOf("enrichments")),
            storageIsDefect
          ),
      findings: ({ query: { message_id, ...page } }) =>
        findings.list(message_id, page).pipe(Effect.map(listOf("findings")), storageIsDefect),
      derivations: ({ params: { id }, query }) =>
        messages.get(id).pipe(
          Effect.andThen(jobs.ofMessage(id, query)),
          Effect.map(({ jobs, has_more }) => ({ derivations: jobs, has_more })),
          storageIsDefect
        ),
      attachments: ({ params, query }) =>
        attachments.list(params.id, query).pipe(Effect.map(listOf("attachments")), storageIsDefect),
      plugins: () =>
        Effect.map(plugins.list, (plugins) => ({ plugins, config_problem: specs.problem() ?? null })),
      plugin: ({ params: { name } }) => Effect.map(plugins.get(name), (plugin) => ({ plugin })),
      pluginRuns: ({ params: { name } }) =>
        plugins.get(name).pipe(
          Effect.andThen(Effect.suspend(() => messages.undeleted(recent.messagesOf(name)))),
          Effect.map((undeleted) => ({ runs: recent.of(name, undeleted) })),
          storageIsDefect
        ),
      events: ({ query: { after, limit = 100, tail, channel_id = [], topic_id = [] } }) =>
        after !== undefined && tail !== undefined
          ? Effect.fail(new InvalidInput({ error: "tail: cannot be used together with after" }))
          : events.list({ after: after ?? 0, limit, tail, channels: channel_id, topics: topic_id }).pipe(
              Effect.map((page) => jsonResponse(eventsJson(page))),
              Effect.orDie
            )
    })
  })
)

const WritesLive = HttpApiBuilder.group(
  Api,
  "writes",
  Effect.fnUntraced(function* (handlers) {
    const topics = yield* Topics
    const messages = yield* Messages
    const attachments = yield* Attachments
    const sql = yield* SqlClient.SqlClient
    // With an idempotency key, the change commits only after its handler has returned.
    const count = (change: Parameters<typeof messageChanged>[0]) => sql.afterCommit(messageChanged(change))
    return handlers.handleAll({
      createChannel: ({ payload }) =>
        topics.createChannel(payload.name, payload.description ?? undefined).pipe(storageIsDefect),
      createTopic: ({ payload }) => topics.create(payload.channel_id, payload.title).pipe(storageIsDefect),
      renameTopic: ({ params, payload }) => topics.rename(params.id, payload.title).pipe(storageIsDefect),
      createMessage: ({ payload }) =>
        messages.create(payload).pipe(Effect.tap(count("create")), storageIsDefect),
      changeMessage: ({ params: { id }, payload }) => {
        switch (payload.op) {
          case "edit":
            return messages
              .edit(id, payload.content_raw, payload.expected_version)
              .pipe(Effect.tap(count("edit")), storageIsDefect)
          case "delete":
            return messages
              .remove(id, payload.actor, payload.expected_version)
              .pipe(Effect.tap(count("delete")), storageIsDefect)
          case "move_topic":
            return messages
              .move(id, payload.to_topic_id, payload.mode, payload.expected_version)
              .pipe(Effect.tap(count("move")), storageIsDefect)
        }
      },
      createAttachment: ({ params, payload }) =>
        attachments.post(params.id, payload).pipe(
          Effect.map(({ attachment, event_id }) =>
            event_id === null
              ? { attachment, event_id, deduplicated: true as const }
              : { attachment, event_id }
          ),
          storageIsDefect
        )
    })
  })
)

/** `/health` reports `readAuth` to clients. */
export const HandlersLive = (readAuth: boolean) => Layer.mergeAll(HealthLive(readAuth), ReadsLive, WritesLive)
