/**
 * Shares the jobs among the hubs on one PostgreSQL database.
 *
 * **Details**
 *
 * - A job belongs to the hub that claimed it until the job ends or that hub is gone. A hub renews its lease while it
 *   lives. When a lease runs out, the first hub that notices frees the jobs.
 * - A hub that was only suspended finds its jobs claimed by others when it wakes up. Its outcomes for them are not
 *   committed.
 */
import { Duration, Effect, Layer, Schedule } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import { Outage } from "../database/Outage.ts"
import { Hubs } from "../database/Hubs.ts"
import { JobTable } from "./table/JobTable.ts"

/** How long a hub keeps its jobs without a sign of life. */
const lease = Duration.seconds(10)

const make = Effect.fnUntraced(function* (id: string) {
  const sql = yield* SqlClient.SqlClient
  const hubs = yield* Hubs
  const jobs = yield* JobTable
  const until = sql`now() + ${Duration.toMillis(lease)} * interval '1 millisecond'`

  const join = sql`
    INSERT INTO hubs (id, alive_until) VALUES (${id}, ${until})
    ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until`

  /** Returns false if the lease had already run out. */
  const renew = Effect.map(
    sql`UPDATE hubs SET alive_until = ${until} WHERE id = ${id} AND alive_until > now() RETURNING id`,
    (kept) => kept.length > 0
  )

  /** Removes hubs and frees their jobs. Returns how many jobs there were. */
  const remove = (gone: Statement.Fragment) =>
    sql.withTransaction(
      Effect.gen(function* () {
        const removed = yield* sql<{ id: string }>`DELETE FROM hubs WHERE ${gone} RETURNING id`
        return removed.length === 0 ? 0 : yield* jobs.freeJobsOf(removed.map(({ id }) => id))
      })
    )

  const outage = new Outage({
    begun: "the hub's lease could not be renewed; it will be tried again",
    ended: "the database can be reached again; the hub renews its lease"
  })

  const live = Effect.gen(function* () {
    const kept = yield* renew
    yield* outage.over
    if (!kept) {
      // The cause may have stopped the other hubs too, so give them time to come back before their jobs are freed.
      yield* Effect.logWarning("this hub gave no sign of life in time; others may have taken its jobs")
      yield* join
      yield* Effect.logInfo("this hub has a lease again and takes jobs")
      return
    }
    const expired = yield* sql`SELECT 1 FROM hubs WHERE alive_until <= now()`
    if (expired.length === 0) return
    const freed = yield* remove(sql`alive_until <= now()`)
    yield* Effect.annotateLogs(Effect.logWarning("a hub of this database is gone; its jobs are taken over"), {
      jobs: freed
    })
    hubs.wake("jobs")
  })

  yield* Effect.acquireRelease(join, () =>
    remove(sql`id = ${id}`).pipe(
      // If this fails, the lease runs out and another hub frees the jobs.
      Effect.catchCause((cause) => Effect.logWarning("jobs could not be given back", cause))
    )
  )
  yield* live.pipe(
    Effect.catch(outage.log),
    Effect.repeat(Schedule.spaced(Duration.divideUnsafe(lease, 4))),
    Effect.forkScoped
  )
})

/** Keeps this hub's lease until its scope closes, then frees its jobs. Does nothing if the hub is alone. */
export const layer: Layer.Layer<never, SqlError.SqlError, SqlClient.SqlClient | Hubs | JobTable> =
  Layer.effectDiscard(Effect.flatMap(Hubs, ({ id }) => (id === undefined ? Effect.void : make(id))))
