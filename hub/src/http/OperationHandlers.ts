/** Connects the operators' part of the HTTP API to the hub's services. */
import { CircuitBreaker } from "@agentlip/plugin-runtime"
import { Effect, Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api, InvalidInput, type Job } from "@agentlip/protocol"
import { Backfills } from "../jobs/Backfills.ts"
import { Jobs } from "../jobs/Jobs.ts"
import { maxPageBytes } from "../database/Pages.ts"
import { storageIsDefect } from "../database/StorageFailure.ts"
import { Plugins } from "../plugins/Plugins.ts"
import { Erasures } from "../retention/Erasures.ts"
import { ShownPlugins } from "./ShownPlugins.ts"
import { Pruning } from "../retention/Pruning.ts"

/** Jobs of one message. There is one for each plugin. */
const mostJobs = 200

const ReadsLive = HttpApiBuilder.group(
  Api,
  "operationReads",
  Effect.fnUntraced(function* (handlers) {
    const jobs = yield* Jobs
    const backfills = yield* Backfills
    const pruning = yield* Pruning
    const erasures = yield* Erasures
    const newest = Effect.fnUntraced(function* (ids: ReadonlyArray<string>) {
      const found: Array<Job> = []
      let bytes = 0
      for (const id of ids) {
        if (bytes > maxPageBytes) return { jobs: found, next: id }
        const all = (yield* jobs.ofMessage(id, { limit: mostJobs })).jobs
        // Newest content first.
        const [first] = all
        const newest = all.filter(({ content_version }) => content_version === first?.content_version)
        bytes += JSON.stringify(newest).length
        found.push(...newest)
      }
      return { jobs: found, next: null }
    })
    return handlers.handleAll({
      jobs: ({ query: { limit = 50, ...query } }) => jobs.list({ ...query, limit }).pipe(storageIsDefect),
      newestJobs: ({ query: { message_id } }) => newest(message_id).pipe(storageIsDefect),
      backfills: () => Effect.map(backfills.list, (backfills) => ({ backfills })).pipe(storageIsDefect),
      backfill: ({ params: { id } }) =>
        Effect.map(backfills.get(id), (backfill) => ({ backfill })).pipe(storageIsDefect),
      erasure: ({ params: { id } }) =>
        Effect.map(erasures.get(id), (erasure) => ({ erasure })).pipe(storageIsDefect),
      prune: () => Effect.map(pruning.current, (prune) => ({ prune: prune ?? null }))
    })
  })
)

const WritesLive = HttpApiBuilder.group(
  Api,
  "operations",
  Effect.fnUntraced(function* (handlers) {
    const jobs = yield* Jobs
    const backfills = yield* Backfills
    const pruning = yield* Pruning
    const { details } = yield* ShownPlugins
    const breaker = yield* CircuitBreaker
    const plugins = yield* Plugins
    // Works without the database.
    const changed = (name: string, change: Effect.Effect<void>) =>
      plugins.specOf(name).pipe(Effect.andThen(change), Effect.andThen(details(name)))
    return handlers.handleAll({
      trip: ({ params: { name } }) => changed(name, breaker.trip(name)),
      reset: ({ params: { name } }) => changed(name, breaker.reset(name)),
      retry: ({ payload }) => jobs.retry(payload).pipe(storageIsDefect),
      beginBackfill: ({ payload }) =>
        Effect.map(backfills.begin(payload), ({ backfill, resumed }) =>
          resumed ? { backfill, resumed } : { backfill, resumed }
        ).pipe(storageIsDefect),
      pauseBackfill: ({ params: { id } }) =>
        Effect.map(backfills.pause(id), (backfill) => ({ backfill })).pipe(storageIsDefect),
      beginPrune: ({ payload: { before, keep_events, dry_run } }) =>
        before === undefined && keep_events === undefined
          ? Effect.fail(new InvalidInput({ error: "Pass before, keep_events, or both" }))
          : pruning.begin(
              {
                before: before === undefined ? undefined : Date.parse(before),
                keepEvents: keep_events
              },
              { dryRun: dry_run }
            ),
      stopPrune: () => Effect.map(pruning.stop, (prune) => ({ prune: prune ?? null }))
    })
  })
)

export const OperationHandlersLive = Layer.mergeAll(ReadsLive, WritesLive).pipe(
  Layer.provide(ShownPlugins.layer)
)
