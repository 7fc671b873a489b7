/** Connects the HTTP API to the hub's services, and applies the API's defaults. */
import { Clock, Effect, Layer, Redacted } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { SqlClient } from "effect/sql"
import { Api, protocolVersions } from "@agentlip/protocol"
import { AuthToken } from "../workspace/AuthToken.ts"
import { proofOf } from "../workspace/Proof.ts"
import { Identity } from "../workspace/HubIdentity.ts"
import { Attachments } from "../messages/Attachments.ts"
import { messageChanged } from "../core/HubMetrics.ts"
import { JsonText } from "../core/JsonText.ts"
import { Messages } from "../messages/Messages.ts"
import { makeReads } from "../messages/Reads.ts"
import { ShownPlugins } from "./ShownPlugins.ts"
import { Plugins } from "../plugins/Plugins.ts"
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

/** Responds with JSON text as it is. */
const respond = <A, E, R>(read: Effect.Effect<A | JsonText, E, R>) =>
  read.pipe(
    Effect.map((found) =>
      found instanceof JsonText
        ? HttpServerResponse.text(found.text, { contentType: "application/json" })
        : (found as Exclude<A, JsonText>)
    ),
    storageIsDefect
  )

const ReadsLive = HttpApiBuilder.group(
  Api,
  "reads",
  Effect.fnUntraced(function* (handlers) {
    const reads = yield* makeReads
    const plugins = yield* Plugins
    const { details, runs } = yield* ShownPlugins
    const specs = yield* Specs
    return handlers.handleAll({
      channels: (request) => respond(reads.channels(request)),
      topics: (request) => respond(reads.topics(request)),
      messages: (request) => respond(reads.messages(request)),
      message: (request) => respond(reads.message(request)),
      enrichments: (request) => respond(reads.enrichments(request)),
      findings: (request) => respond(reads.findings(request)),
      derivations: (request) => respond(reads.derivations(request)),
      attachments: (request) => respond(reads.attachments(request)),
      events: (request) => respond(reads.events(request)),
      plugins: () =>
        Effect.map(plugins.list, (plugins) => ({ plugins, config_problem: specs.problem() ?? null })),
      plugin: ({ params: { name } }) => details(name),
      pluginRuns: ({ params: { name } }) => runs(name)
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
              .remove(id, payload.actor, payload)
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
export const HandlersLive = (readAuth: boolean) =>
  Layer.mergeAll(HealthLive(readAuth), ReadsLive, WritesLive).pipe(Layer.provide(ShownPlugins.layer))
