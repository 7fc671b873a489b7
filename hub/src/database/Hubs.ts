/**
 * The hubs that share one database: which hub works on which job, and how hubs notice each other's writes.
 *
 * **Details**
 *
 * - A SQLite file has only one hub. There, all fragments are empty and add nothing to the statements.
 * - On PostgreSQL, a job belongs to the hub that took it until the job ends or that hub is gone. A hub renews its
 *   lease while it lives. When a lease runs out, the first hub that notices frees the jobs.
 * - A hub that was only suspended finds its jobs taken when it wakes up. Its findings for them are not committed.
 * - Notifications wake the other hubs. A lost connection can lose them, so every hub also looks from time to time.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Duration, Effect, Layer, Queue, Schedule } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import { randomUUID } from "node:crypto"

/** What other hubs may have added: events in the log, or jobs that can be taken. */
export type News = "events" | "jobs"

export interface SharingOptions {
  /** How long a hub keeps its jobs without a sign of life. Default 10 seconds. */
  readonly lease?: Duration.Input
  /** How often to look without a notification. Default 5 seconds. */
  readonly lookEvery?: Duration.Input
}

const restAfterFailure = "1 second"

export class Hubs extends Context.Service<
  Hubs,
  {
    /** True if no other hub can use the database. */
    readonly alone: boolean
    /** Goes at the end of a statement and notifies the other hubs on commit. It can also return a column. */
    readonly tell: (news: News, returning?: string) => Statement.Fragment
    /** Calls `heard` whenever another hub may have added something, until the scope of this service closes. */
    readonly listen: (news: News, heard: () => void) => void
    /** Added to a condition on `derivations`: no other hub works on the job. */
    readonly free: Statement.Fragment
    /** Added to a condition on `derivations`: this hub works on the job. */
    readonly mine: Statement.Fragment
    /** Added to a list of changes to `derivations`: this hub takes the job. */
    readonly claim: Statement.Fragment
    /** Added to a list of changes to `derivations`: the job is free again. */
    readonly giveUp: Statement.Fragment
  }
>()("@agentlip/hub/Hubs") {
  /** For a database that only this process uses. */
  static readonly alone: Layer.Layer<Hubs, never, SqlClient.SqlClient> = Layer.effect(
    Hubs,
    Effect.map(SqlClient.SqlClient, (sql) => {
      const nothing = sql.literal("")
      return Hubs.of({
        alone: true,
        tell: (_, returning) => (returning === undefined ? nothing : sql.literal(` RETURNING ${returning}`)),
        listen: () => {},
        free: nothing,
        mine: nothing,
        claim: nothing,
        giveUp: nothing
      })
    })
  )

  /** For a shared PostgreSQL database. When the layer closes, it frees this hub's jobs. */
  static readonly sharing = (
    options: SharingOptions = {}
  ): Layer.Layer<Hubs, SqlError.SqlError, PgClient.PgClient> => Layer.effect(Hubs, make(options))
}

const make = Effect.fnUntraced(function* (options: SharingOptions) {
  const sql = yield* PgClient.PgClient
  const lease = Duration.fromInputUnsafe(options.lease ?? "10 seconds")
  const id = randomUUID()
  const [named] = yield* sql<{ channel: string }>`SELECT 'agentlip_' || md5(current_schema()) AS channel`
  const channel = named?.channel ?? "agentlip"
  const listeners: Array<{ readonly news: News; readonly heard: () => void }> = []

  const wake = (news?: string): void => {
    for (const listener of listeners) if (news === undefined || listener.news === news) listener.heard()
  }

  let hearing = true
  const follow = Effect.gen(function* () {
    const notifications = yield* sql.listen(channel)
    hearing = true
    // Notifications before this point were missed, so wake everyone.
    wake()
    while (true) {
      const { payload } = yield* Queue.take(notifications)
      const [news, from] = payload.split(" ")
      if (from !== id) wake(news)
    }
  }).pipe(Effect.scoped)

  yield* follow.pipe(
    Effect.tapError((error) => {
      const first = hearing
      hearing = false
      return first ? Effect.logWarning("other hubs are not heard; looking now and then", error) : Effect.void
    }),
    Effect.retry(Schedule.spaced(restAfterFailure)),
    Effect.forkScoped
  )
  yield* Effect.sync(wake).pipe(
    Effect.repeat(Schedule.spaced(options.lookEvery ?? "5 seconds")),
    Effect.forkScoped
  )

  const until = sql`now() + ${Duration.toMillis(lease)} * interval '1 millisecond'`

  /** Returns false if the lease had already run out. */
  const renew = Effect.map(
    sql`UPDATE hubs SET alive_until = ${until} WHERE id = ${id} AND alive_until > now() RETURNING id`,
    (kept) => kept.length > 0
  )
  const join = sql`
    INSERT INTO hubs (id, alive_until) VALUES (${id}, ${until})
    ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until`

  const letGo = (gone: Statement.Fragment) =>
    sql.withTransaction(
      Effect.gen(function* () {
        const hubs = yield* sql<{ id: string }>`DELETE FROM hubs WHERE ${gone} RETURNING id`
        if (hubs.length === 0) return []
        const ids = hubs.map(({ id }) => id)
        return yield* sql`
          UPDATE derivations SET owner = NULL
          WHERE state = 'pending' AND ${sql.in("owner", ids)}${tell("jobs")}`
      })
    )

  const tell = (news: News, returning?: string): Statement.Fragment => {
    const told = `pg_notify('${channel}', '${news} ${id}') IS NULL AS told`
    return sql.literal(` RETURNING ${returning === undefined ? told : `${returning}, ${told}`}`)
  }

  const live = Effect.gen(function* () {
    if (!(yield* renew)) {
      // The cause may have stopped the other hubs too, so give them time to come back before their jobs are freed.
      yield* Effect.logWarning("this hub gave no sign of life in time; others may have taken its jobs")
      yield* join
      return
    }
    const expired = yield* sql`SELECT 1 FROM hubs WHERE alive_until <= now()`
    if (expired.length === 0) return
    const jobs = yield* letGo(sql`alive_until <= now()`)
    yield* Effect.logWarning("a hub of this database is gone; its jobs are taken over").pipe(
      Effect.annotateLogs({ jobs: jobs.length })
    )
    wake("jobs")
  })

  yield* Effect.acquireRelease(join, () =>
    letGo(sql`id = ${id}`).pipe(
      // If this fails, the lease runs out and another hub frees the jobs.
      Effect.catchCause((cause) => Effect.logWarning("jobs could not be given back", cause))
    )
  )
  yield* live.pipe(
    Effect.catch((error) =>
      Effect.logWarning("the hub's lease could not be renewed; it will be tried again", error)
    ),
    Effect.repeat(Schedule.spaced(Duration.divideUnsafe(lease, 4))),
    Effect.forkScoped
  )

  return Hubs.of({
    alone: false,
    tell,
    listen: (news, heard) => void listeners.push({ news, heard }),
    free: sql.literal(` AND (owner IS NULL OR owner = '${id}')`),
    mine: sql.literal(` AND owner = '${id}'`),
    claim: sql.literal(`, owner = '${id}'`),
    giveUp: sql.literal(", owner = NULL")
  })
})
