/** `GET /metrics`, and the counts that are made for whoever reads metrics. */
import { Effect, Fiber, Layer, Schedule, type Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type { SqlClient } from "effect/sql"
import { countJobs, databaseAnswered } from "../core/HubMetrics.ts"
import { scrape } from "./Scrape.ts"
import { Specs } from "../plugins/Specs.ts"
import { Exporting } from "../telemetry/Telemetry.ts"

/** As often as exporters read. */
const recount = "10 seconds"

/** How long a scrape waits for the database; after that it has what was counted last. */
const patience = "1 second"

const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** Runs once for all who ask while it runs, and goes on when they leave. */
const shared = <A>(work: Effect.Effect<A>): Effect.Effect<Effect.Effect<A>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    let running: Fiber.Fiber<A> | undefined
    return Effect.suspend(() =>
      running !== undefined && running.pollUnsafe() === undefined
        ? Fiber.join(running)
        : Effect.flatMap(Effect.forkIn(work, scope), (fiber) => {
            running = fiber
            return Fiber.join(fiber)
          })
    )
  })

/**
 * The text that Prometheus scrapes. Like every read it needs no token: the hub is reached from its machine only,
 * and what it counts says nothing of what messages say. It needs no database either: what that has not counted in
 * time is as it was, and `agentlip_database_up` says so.
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | SqlClient.SqlClient | Specs> =
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      const services = yield* Effect.context<SqlClient.SqlClient>()
      const specs = yield* Specs
      const count = Effect.suspend(() => countJobs(specs.current().map(({ name }) => name))).pipe(
        Effect.timeout(patience),
        Effect.andThen(databaseAnswered(true)),
        Effect.catchCause((cause) =>
          Effect.andThen(databaseAnswered(false), Effect.logDebug("open jobs could not be counted", cause))
        ),
        Effect.withTracerEnabled(false),
        Effect.provideContext(services)
      )
      const text = yield* shared(Effect.andThen(count, scrape))
      yield* router.add(
        "GET",
        "/metrics",
        Effect.map(text, (text) => HttpServerResponse.text(text, { contentType }))
      )
      if (yield* Exporting) yield* Effect.forkScoped(Effect.repeat(count, Schedule.spaced(recount)))
    })
  )
