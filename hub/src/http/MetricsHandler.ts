/** `GET /metrics`, and the counts that are taken only when metrics are read. */
import { Effect, Fiber, Schedule, type Scope } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "@agentlip/protocol"
import { databaseAnswered, jobsOpen, memoryMeasured } from "../core/HubMetrics.ts"
import { Jobs } from "../jobs/Jobs.ts"
import { scrape } from "./Scrape.ts"
import { Specs } from "../plugins/Specs.ts"
import { Exporting } from "../telemetry/Telemetry.ts"

/** As often as exporters read metrics. */
const recount = "10 seconds"

/** How long a scrape waits for the database. After that it reports the previous count. */
const patience = "1 second"

const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** Runs the work once for all callers that ask while it runs. It goes on if they leave. */
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
 * The metrics in Prometheus' text format. They need no token unless `readAuth` is set: only this machine can reach the
 * hub, and metrics hold no message content. They do not depend on the database either: if it does not respond in time,
 * the previous job counts are reported and `agentlip_database_up` is 0.
 */
export const MetricsLive = HttpApiBuilder.group(
  Api,
  "metrics",
  Effect.fnUntraced(function* (handlers) {
    const jobs = yield* Jobs
    const specs = yield* Specs
    const count = Effect.suspend(() => jobs.countOpen(specs.current().map(({ name }) => name))).pipe(
      Effect.flatMap(jobsOpen),
      Effect.timeout(patience),
      Effect.andThen(databaseAnswered(true)),
      Effect.catchCause((cause) =>
        Effect.andThen(databaseAnswered(false), Effect.logDebug("open jobs could not be counted", cause))
      ),
      Effect.withTracerEnabled(false)
    )
    const measure = Effect.andThen(memoryMeasured, count)
    const text = yield* shared(Effect.andThen(measure, scrape))
    if (yield* Exporting) yield* Effect.forkScoped(Effect.repeat(measure, Schedule.spaced(recount)))
    return handlers.handle("metrics", () =>
      Effect.map(text, (text) => HttpServerResponse.text(text, { contentType }))
    )
  })
)
