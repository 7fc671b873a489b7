/** Calls for operators: jobs, circuits, backfills and pruning. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { InvalidInput, NotFound } from "./Errors.ts"
import {
  Authorization,
  EveryRequest,
  Idempotency,
  ReadAuthorization,
  TextBody,
  Validation
} from "./Middlewares.ts"
import { Backfill, Erasure, Job, JobState, Prune } from "./Entities.ts"
import { byId, byName, described, limit } from "./parameters.ts"
import { PluginSummary } from "./Plugins.ts"
import * as Texts from "./Texts.ts"

const plugin = Schema.Struct({ plugin: PluginSummary })
const backfill = Schema.Struct({ backfill: Backfill })

export class OperationReads extends HttpApiGroup.make("operationReads")
  .add(
    HttpApiEndpoint.get("jobs", "/jobs", {
      query: {
        state: Schema.optional(
          described(
            "Only jobs in these states. May be repeated. Default: those that have not ended, and those that failed.",
            Schema.Array(JobState)
          )
        ),
        plugin: Schema.optional(described("Only jobs of this plugin.", Schema.String)),
        limit: limit("50"),
        before: Schema.optional(described("The `next` of the page before.", Schema.String))
      },
      success: Schema.Struct({ jobs: Schema.Array(Job), next: Schema.NullOr(Schema.String) }),
      error: InvalidInput
    }).annotate(OpenApi.Summary, "List jobs, newest first"),
    HttpApiEndpoint.get("newestJobs", "/jobs/newest", {
      query: {
        message_id: described(
          "The id of a message. May be repeated, up to 100 times.",
          Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(100))
        )
      },
      success: Schema.Struct({
        jobs: Schema.Array(Job),
        next: described(
          "The first message that did not fit on the page of about 1 MiB. `null`: all did.",
          Schema.NullOr(Schema.String)
        )
      }),
      error: InvalidInput
    }).annotate(OpenApi.Summary, "List the jobs of the newest content of several messages"),
    HttpApiEndpoint.get("backfills", "/backfills", {
      success: Schema.Struct({ backfills: Schema.Array(Backfill) })
    }).annotate(OpenApi.Summary, "List backfills"),
    HttpApiEndpoint.get("backfill", "/backfills/:id", {
      params: byId("backfill"),
      success: backfill,
      error: NotFound
    }).annotate(OpenApi.Summary, "Show a backfill and its progress"),
    HttpApiEndpoint.get("erasure", "/erasures/:id", {
      params: byId("message"),
      success: Schema.Struct({ erasure: Erasure }),
      error: NotFound
    }).annotate(OpenApi.Summary, "Show whether the text of a message was erased from events"),
    HttpApiEndpoint.get("prune", "/prune", {
      success: Schema.Struct({
        prune: described("`null`: none since the hub started.", Schema.NullOr(Prune))
      })
    }).annotate(OpenApi.Summary, "Show the last prune and its progress")
  )
  .middleware(Validation)
  .middleware(ReadAuthorization)
  .middleware(EveryRequest)
  .annotateMerge(
    OpenApi.annotations({ title: "Operations: reads", description: "Jobs, backfills and pruning." })
  )
  .prefix("/api/v1") {}

export class Operations extends HttpApiGroup.make("operations")
  .add(
    HttpApiEndpoint.post("trip", "/plugins/:name/trip", {
      params: byName,
      success: plugin,
      error: NotFound
    }).annotate(OpenApi.Summary, "Pause a plugin by opening its circuit"),
    HttpApiEndpoint.post("reset", "/plugins/:name/reset", {
      params: byName,
      success: plugin,
      error: NotFound
    }).annotate(OpenApi.Summary, "Let a plugin run again by closing its circuit"),
    HttpApiEndpoint.post("retry", "/jobs/retry", {
      payload: Schema.Struct({
        plugin: Schema.optionalKey(Texts.id),
        message_id: Schema.optionalKey(Texts.id)
      }),
      /** `more`: there are others, to be asked for when these are done. */
      success: Schema.Struct({ retried: Schema.Int, more: Schema.Boolean })
    }).annotate(OpenApi.Summary, "Retry failed jobs whose message has not changed"),
    HttpApiEndpoint.post("beginBackfill", "/backfills", {
      payload: Schema.Struct({
        plugin: Schema.optionalKey(Texts.id),
        since_event: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
      }),
      success: [
        Schema.Struct({ backfill: Backfill, resumed: Schema.Literal(false) }).annotate({
          httpApiStatus: 201
        }),
        Schema.Struct({ backfill: Backfill, resumed: Schema.Literal(true) })
      ],
      error: [InvalidInput, NotFound]
    }).annotate(OpenApi.Summary, "Run plugins on existing messages, or resume a paused backfill"),
    HttpApiEndpoint.post("pauseBackfill", "/backfills/:id/pause", {
      params: byId("backfill"),
      success: backfill,
      error: NotFound
    }).annotate(OpenApi.Summary, "Pause a backfill"),
    HttpApiEndpoint.post("beginPrune", "/prune", {
      payload: Schema.Struct({
        before: Schema.optionalKey(
          described(
            "Remove events, ended jobs, unused cached outputs and finished backfills that are older than this time, such as `2026-01-31T00:00:00Z`.",
            Texts.time
          )
        ),
        keep_events: Schema.optionalKey(
          described(
            "Keep at least this many of the newest events. Without `before`: remove all others, and nothing else.",
            Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
          )
        ),
        dry_run: Schema.optionalKey(
          described("Only count what would be removed. Default: `false`.", Schema.Boolean)
        )
      }),
      success: Schema.Struct({
        prune: Prune,
        started: described("`false`: another prune is still running, and is shown instead.", Schema.Boolean)
      }),
      error: InvalidInput
    }).annotate(OpenApi.Summary, "Remove old events and jobs, a few at a time. Messages stay"),
    HttpApiEndpoint.post("stopPrune", "/prune/stop", {
      success: Schema.Struct({ prune: Schema.NullOr(Prune) })
    }).annotate(OpenApi.Summary, "Stop the running prune")
  )
  .middleware(Idempotency)
  .middleware(TextBody)
  .middleware(Validation)
  .middleware(Authorization)
  .middleware(EveryRequest)
  .annotateMerge(
    OpenApi.annotations({
      title: "Operations: writes",
      description: "Circuits of plugins, retries, backfills and pruning."
    })
  )
  .prefix("/api/v1") {}
