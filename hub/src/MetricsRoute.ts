/** `GET /metrics`, and the counts that are made for whoever reads metrics. */
import type { ConfiguredSpec } from "@agentlip/plugin-runtime"
import { Effect, Layer, Schedule } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type { SqlClient } from "effect/sql"
import { countJobs } from "./HubMetrics.ts"
import { scrape } from "./Scrape.ts"
import { Exporting } from "./Telemetry.ts"

/** As often as exporters read. */
const recount = "10 seconds"

const contentType = "text/plain; version=0.0.4; charset=utf-8"

/**
 * The text that Prometheus scrapes. Like every read it needs no token: the hub is reached from its machine only,
 * and what it counts says nothing of what messages say.
 */
export const layer = (
  specs: ReadonlyArray<ConfiguredSpec>
): Layer.Layer<never, never, HttpRouter.HttpRouter | SqlClient.SqlClient> =>
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      const services = yield* Effect.context<SqlClient.SqlClient>()
      const count = countJobs(specs.map(({ name }) => name)).pipe(
        Effect.withTracerEnabled(false),
        Effect.orDie,
        Effect.provideContext(services)
      )
      yield* router.add(
        "GET",
        "/metrics",
        Effect.map(Effect.andThen(count, scrape), (text) => HttpServerResponse.text(text, { contentType }))
      )
      if (yield* Exporting) {
        yield* Effect.forkScoped(
          count.pipe(
            Effect.catchCause((cause) => Effect.logWarning("open jobs could not be counted", cause)),
            Effect.repeat(Schedule.spaced(recount))
          )
        )
      }
    })
  )
