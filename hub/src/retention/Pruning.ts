/**
 * Removes what is old: events, ended jobs, unused cached outputs and finished backfills. Messages and findings are
 * never removed.
 *
 * **Details**: it works in steps of a few milliseconds, and rests between them. If it is stopped, what was removed is
 * gone, and another prune continues with the rest.
 */
import type { Prune, PruneCounts } from "@agentlip/protocol"
import { Cause, Context, Effect, FiberHandle, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { EventLog } from "../core/EventLog.ts"
import { Ids } from "../core/Ids.ts"
import { storageFailure } from "../database/StorageFailure.ts"
import type { JobKey } from "../jobs/Job.ts"
import { countUnused, removeUnused } from "../jobs/ResultCacheStore.ts"
import { nextOldJobs, removeJobs } from "../jobs/table/OldJobs.ts"
import { timestamp } from "../timestamp.ts"
import { findOldEvents, removeOldEvents } from "./OldEvents.ts"

/** What to remove. At least one is set. */
export interface Bounds {
  /** Whatever is older than this time, in milliseconds since the epoch. Default: events of any age, and nothing else. */
  readonly before?: number | undefined
  /** This many of the newest events stay, whatever their age. Default 0. */
  readonly keepEvents?: number | undefined
}

/** The pause after each step, in which posts have the database for themselves. */
const rest = Effect.sleep("5 millis")

const none: PruneCounts = { events: 0, jobs: 0, results: 0, backfills: 0 }

const iso = (millis: number): string => new Date(millis).toISOString()

export class Pruning extends Context.Service<
  Pruning,
  {
    /** The running prune, or the last one; `undefined` if there was none. */
    readonly current: Effect.Effect<Prune | undefined>
    /** Begins a prune and returns at once. If one is running, `started` is false and nothing changes. */
    readonly begin: (
      bounds: Bounds,
      options?: { readonly dryRun?: boolean | undefined }
    ) => Effect.Effect<{ readonly prune: Prune; readonly started: boolean }>
    /** Waits until no prune is running. */
    readonly ended: Effect.Effect<void>
    /** Stops the running prune. Returns the last one. */
    readonly stop: Effect.Effect<Prune | undefined>
  }
>()("@agentlip/hub/Pruning") {
  static readonly layer: Layer.Layer<Pruning, never, SqlClient.SqlClient | EventLog | Ids> = Layer.effect(
    Pruning,
    Effect.gen(function* () {
      const services = yield* Effect.context<SqlClient.SqlClient | EventLog | Ids>()
      const sql = yield* SqlClient.SqlClient
      const log = yield* EventLog
      const ids = yield* Ids
      const work = yield* FiberHandle.make<void, never>()
      let current: Prune | undefined

      const change = (part: Partial<Prune>): void => {
        if (current !== undefined) current = { ...current, ...part }
      }
      const add = (field: "total" | "removed", kind: keyof PruneCounts, count: number): void => {
        if (current === undefined) return
        const counts = current[field]
        change({ [field]: { ...counts, [kind]: counts[kind] + count } })
      }

      /** Repeats a step until it removes nothing. */
      const removeAll = <E, R>(kind: keyof PruneCounts, step: Effect.Effect<number, E, R>) =>
        Effect.gen(function* () {
          while (true) {
            const count = yield* step
            add("removed", kind, count)
            if (count === 0) return
            yield* rest
          }
        })

      const oldBackfills = (before: string) => sql`state = 'done' AND ended_at < ${before}`

      /** Calls `use` with each batch of old jobs. */
      const forOldJobs = <E, R>(
        before: number,
        use: (jobs: ReadonlyArray<JobKey>) => Effect.Effect<void, E, R>
      ) =>
        Effect.gen(function* () {
          const old = { endedBefore: iso(before), messagesBefore: ids.at(before) }
          let last: JobKey | undefined
          do {
            const found = yield* nextOldJobs(old, last)
            yield* use(found.old)
            last = found.last
            yield* Effect.yieldNow
          } while (last !== undefined)
        })

      const count = Effect.fnUntraced(function* ({ before, keepEvents: keep }: Bounds) {
        const events = yield* findOldEvents({ keep, before: before === undefined ? undefined : iso(before) })
        add("total", "events", events.count)
        if (before === undefined) return events
        yield* forOldJobs(before, (jobs) => Effect.sync(() => add("total", "jobs", jobs.length)))
        add("total", "results", yield* countUnused(sql, before))
        const backfills = yield* sql`SELECT id FROM backfills WHERE ${oldBackfills(iso(before))}`
        add("total", "backfills", backfills.length)
        return events
      })

      const remove = Effect.fnUntraced(function* (before: number | undefined, lastEvent: number) {
        yield* removeAll("events", removeOldEvents(lastEvent))
        if (before === undefined) return
        yield* forOldJobs(before, (jobs) =>
          Effect.gen(function* () {
            if (jobs.length === 0) return
            add("removed", "jobs", yield* removeJobs(jobs))
            yield* rest
          })
        )
        yield* removeAll("results", removeUnused(sql, before))
        const gone = yield* sql`DELETE FROM backfills WHERE ${oldBackfills(iso(before))} RETURNING id`
        add("removed", "backfills", gone.length)
      })

      const prune = (bounds: Bounds, dryRun: boolean) =>
        Effect.gen(function* () {
          const events = yield* count(bounds)
          if (!dryRun) {
            change({ state: "removing" })
            yield* remove(bounds.before, events.last)
          }
          change({ state: "done", pruned_until: yield* log.prunedUntil })
        }).pipe(
          Effect.onInterrupt(() => Effect.sync(() => change({ state: "stopped" }))),
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause)
              ? Effect.void
              : Effect.andThen(
                  Effect.logWarning("the prune failed", cause),
                  Effect.sync(() =>
                    change({
                      state: "failed",
                      error: storageFailure(cause)?.text ?? "The hub failed; its log says why"
                    })
                  )
                )
          ),
          Effect.ensuring(Effect.map(timestamp, (ended_at) => change({ ended_at }))),
          Effect.provideContext(services)
        )

      const begin = (bounds: Bounds, { dryRun = false }: { readonly dryRun?: boolean | undefined } = {}) =>
        Effect.gen(function* () {
          if (current?.ended_at === null) return { prune: current, started: false }
          const begun: Prune = {
            state: "counting",
            dry_run: dryRun,
            before: bounds.before === undefined ? null : iso(bounds.before),
            keep_events: bounds.keepEvents ?? null,
            total: none,
            removed: none,
            pruned_until: 0,
            started_at: yield* timestamp,
            ended_at: null,
            error: null
          }
          current = begun
          yield* FiberHandle.run(work, prune(bounds, dryRun))
          return { prune: begun, started: true }
        })

      return Pruning.of({
        current: Effect.sync(() => current),
        begin,
        ended: FiberHandle.awaitEmpty(work),
        stop: Effect.andThen(
          FiberHandle.clear(work),
          Effect.sync(() => current)
        )
      })
    })
  )
}
