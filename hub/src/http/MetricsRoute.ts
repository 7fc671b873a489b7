/** `GET /metrics`, and the counts that are made for whoever reads metrics. */
import { Effect, Layer, Schedule } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type { SqlClient } from "effect/sql"
import { countJobs } from "../core/HubMetrics.ts"
import { scrape } from "./Scrape.ts"
import { Specs } from "../plugins/Specs.ts"
import { Exporting } from "../telemetry/Telemetry.ts"

/** As often as exporters read. */
const recount = "10 seconds"

const contentType = "text/plain; version=0.0.4; charset=utf-8"

/**
 * The text that Prometheus scrapes. Like every read it needs no token: the hub is reached from its machine only,
 * and what it counts says nothing of what messages say.
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | SqlClient.SqlClient | Specs> =
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      const services = yield* Effect.context<SqlClient.SqlClient>()
      const specs = yield* Specs
      const count = Effect.suspend(() => countJobs(specs.current().map(({ name }) => name))).pipe(
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
