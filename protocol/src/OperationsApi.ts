/** What operators ask of a hub and tell it: its jobs, circuits and backfills. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { NotFound } from "./Errors.ts"
import { Authorization, Idempotency, Validation, TextBody } from "./Middlewares.ts"
import { Backfill, Job, JobState } from "./Entities.ts"
import { PluginSummary } from "./Plugins.ts"
import * as Texts from "./Texts.ts"

const byId = { id: Schema.String }
const byName = { name: Schema.String }
const plugin = Schema.Struct({ plugin: PluginSummary })
const backfill = Schema.Struct({ backfill: Backfill })

export class OperationReads extends HttpApiGroup.make("operationReads")
  .add(
    HttpApiEndpoint.get("jobs", "/jobs", {
      query: {
        /** Default: those that are not over, and those that failed. */
        state: Schema.optional(Schema.Array(JobState)),
        plugin: Schema.optional(Schema.String),
        limit: Schema.optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 }))),
        /** The `next` of the page before. */
        before: Schema.optional(Schema.String)
      },
      success: Schema.Struct({ jobs: Schema.Array(Job), next: Schema.NullOr(Schema.String) })
    }),
    HttpApiEndpoint.get("backfills", "/backfills", {
      success: Schema.Struct({ backfills: Schema.Array(Backfill) })
    }),
    HttpApiEndpoint.get("backfill", "/backfills/:id", { params: byId, success: backfill, error: NotFound })
  )
  .middleware(Validation)
  .prefix("/api/v1") {}

export class Operations extends HttpApiGroup.make("operations")
  .add(
    HttpApiEndpoint.post("trip", "/plugins/:name/trip", { params: byName, success: plugin, error: NotFound }),
    HttpApiEndpoint.post("reset", "/plugins/:name/reset", {
      params: byName,
      success: plugin,
      error: NotFound
    }),
    HttpApiEndpoint.post("retry", "/jobs/retry", {
      payload: Schema.Struct({
        plugin: Schema.optionalKey(Texts.id),
        message_id: Schema.optionalKey(Texts.id)
      }),
      /** `more`: there are others, to be asked for when these are done. */
      success: Schema.Struct({ retried: Schema.Int, more: Schema.Boolean })
    }),
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
      error: NotFound
    }),
    HttpApiEndpoint.post("pauseBackfill", "/backfills/:id/pause", {
      params: byId,
      success: backfill,
      error: NotFound
    })
  )
  .middleware(Idempotency)
  .middleware(TextBody)
  .middleware(Validation)
  .middleware(Authorization)
  .prefix("/api/v1") {}
