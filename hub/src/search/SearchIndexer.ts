/**
 * Keeps the search index up to date.
 *
 * **Details**
 *
 * - Posts do not wait for it: new and changed texts are indexed together shortly after their commit, and at the latest
 *   when somebody searches. Each step is short, and a pause follows it. Texts that are deleted or changed leave the
 *   index in the transaction that does it.
 * - A database of an earlier version is indexed in the background, the newest rows first. The progress is in the
 *   database, so it continues after a restart.
 */
import { Clock, Context, Effect, Layer, Semaphore } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { EventLog } from "../core/EventLog.ts"
import { searchIndexLeft } from "../core/HubMetrics.ts"
import { WakeUp } from "../core/WakeUp.ts"
import { Outage } from "../database/Outage.ts"
import type { Progress } from "./progress.ts"
import { makeSteps } from "./steps.ts"

/** New texts are indexed after this time: those of this time together, which costs less. */
const gather = "250 millis"

/** A search waits for this many steps at most. What is left is found later. */
const stepsOfSearch = 16

/**
 * In milliseconds. After a step, posts get as much time as the step took. With new rows, it is at most this much, because
 * more rows may come. With old rows, it is at least this much.
 */
const pause = 5

/** Old rows between two lines in the log. */
const rowsOfLine = 25_000

const restAfterFailure = "1 second"

const count = (rows: number): string => rows.toLocaleString("en-US")

/** Adds how many milliseconds it took. */
const timed = Effect.fnUntraced(function* <A, E>(effect: Effect.Effect<A, E>) {
  const start = yield* Clock.currentTimeMillis
  const result = yield* effect
  return { result, took: (yield* Clock.currentTimeMillis) - start }
})

export class SearchIndexer extends Context.Service<
  SearchIndexer,
  {
    /** Indexes what is new, so that a search finds what was committed before it. */
    readonly catchUp: Effect.Effect<void, SqlError.SqlError>
  }
>()("@agentlip/hub/SearchIndexer") {
  /** Works until its scope closes. */
  static readonly layer: Layer.Layer<SearchIndexer, SqlError.SqlError, SqlClient.SqlClient | EventLog> =
    Layer.effect(
      SearchIndexer,
      Effect.gen(function* () {
        const events = yield* EventLog
        const steps = yield* makeSteps
        // Steps of this hub do not wait for each other inside transactions.
        const one = yield* Semaphore.make(1)
        const work = new WakeUp()
        events.onArrival(work.ring)
        const begun = yield* steps.begin
        yield* searchIndexLeft(begun.total - begun.done)
        // A hub that was killed may have left something.
        work.ring()

        /** One step at a time. After each, the hub answers requests before the next step. */
        const step = <A>(work: Effect.Effect<A, SqlError.SqlError>) =>
          one.withPermit(Effect.tap(timed(work), Effect.yieldNow))

        /**
         * Indexes what is new, in at most so many steps. What comes meanwhile may be left. `rest` follows each step, and gets
         * the milliseconds that it took.
         */
        const catchUp = Effect.fnUntraced(function* (
          most: number,
          rest: (took: number) => Effect.Effect<void>
        ) {
          let more = yield* steps.hasNew
          for (let made = 0; made < most && more; made++) {
            const { result, took } = yield* step(steps.forward)
            more = result
            yield* rest(took)
          }
        })

        const outage = new Outage({
          begun: "the search index is not kept up to date",
          ended: "the search index is kept up to date again"
        })
        const retried = <A>(work: Effect.Effect<A, SqlError.SqlError>): Effect.Effect<A> =>
          Effect.catchCause(work, (cause) =>
            Effect.andThen(outage.log(cause), Effect.andThen(Effect.sleep(restAfterFailure), retried(work)))
          )

        const followNew = work.next.pipe(
          Effect.andThen(Effect.sleep(gather)),
          Effect.andThen(
            retried(catchUp(Number.POSITIVE_INFINITY, (took) => Effect.sleep(Math.min(pause, took))))
          ),
          Effect.andThen(outage.over),
          Effect.forever
        )

        const tell = ({ done, total }: Progress, before: number) =>
          Math.floor(done / rowsOfLine) === Math.floor(before / rowsOfLine)
            ? Effect.void
            : Effect.logInfo(
                `search: ${count(done)} of ${count(total)} earlier messages and attachments are indexed`
              )

        const indexOld = Effect.gen(function* () {
          const { done, total } = begun
          let progress = begun
          yield* Effect.logInfo(
            `search: indexes ${count(total - done)} earlier messages and attachments in the background, newest first`
          )
          while (progress.is_complete === 0) {
            const before = progress.done
            const { result, took } = yield* retried(step(steps.backward))
            progress = result
            yield* searchIndexLeft(progress.is_complete === 1 ? 0 : total - progress.done)
            yield* tell(progress, before)
            yield* Effect.sleep(Math.max(pause, took))
          }
          yield* retried(steps.analyze)
          yield* Effect.logInfo("search: everything is indexed")
        })

        yield* Effect.forkScoped(followNew)
        if (begun.is_complete === 0) yield* Effect.forkScoped(indexOld)
        return SearchIndexer.of({ catchUp: catchUp(stepsOfSearch, () => Effect.void) })
      })
    )
}
