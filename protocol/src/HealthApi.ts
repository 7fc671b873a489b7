/** What monitoring asks a hub: whether it runs, and its metrics. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { InvalidInput } from "./Errors.ts"
import { EveryRequest, ReadAuthorization, Validation } from "./Middlewares.ts"
import { described } from "./parameters.ts"

/** A challenge is 16 to 128 characters of base64url. */
const challengePattern = /^[A-Za-z0-9_-]{16,128}$/

/** Which hub answers. */
export const HealthStatus = Schema.Struct({
  status: Schema.Literal("ok"),
  instance_id: Schema.String,
  db_id: Schema.String,
  schema_version: Schema.Int,
  protocol_version: Schema.String,
  pid: Schema.Int,
  uptime_seconds: Schema.Finite,
  /** Whether reads need the token too. */
  read_auth: Schema.optionalKey(Schema.Boolean),
  /** The answer to `challenge`: proves that the hub knows the token of its `server.json`. See Proof.ts. */
  proof: Schema.optionalKey(Schema.String)
})
export type HealthStatus = typeof HealthStatus.Type

export class Health extends HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("health", "/health", {
      query: {
        challenge: Schema.optional(
          described(
            "Random, 16 to 128 characters of base64url. The response has a `proof` for it.",
            Schema.String.check(Schema.isPattern(challengePattern))
          )
        )
      },
      success: HealthStatus,
      error: InvalidInput
    }).annotate(OpenApi.Summary, "Show which hub this is. Needs no token, and is never limited")
  )
  .middleware(Validation)
  .middleware(EveryRequest)
  .annotateMerge(
    OpenApi.annotations({ title: "Health", description: "Whether the hub runs, and which one it is." })
  ) {}

export class Metrics extends HttpApiGroup.make("metrics")
  .add(
    HttpApiEndpoint.get("metrics", "/metrics", {
      success: Schema.String.pipe(
        HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })
      )
    }).annotate(OpenApi.Summary, "Read the metrics in the text format of Prometheus")
  )
  .middleware(ReadAuthorization)
  .middleware(EveryRequest)
  .annotateMerge(OpenApi.annotations({ title: "Metrics", description: "Metrics for Prometheus." })) {}
