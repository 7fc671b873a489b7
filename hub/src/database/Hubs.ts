/**
 * The hubs of one database: who works on which job, and how they hear of what the others wrote.
 *
 * **Details**
 *
 * - A SQLite file has one hub. All of this is nothing there: the statements have no words more.
 * - On PostgreSQL a job belongs to the hub that began it, until it ends or that hub is gone: until its lease has run
 *   out, which it renews in time as long as it lives. Then whoever notices first lets go of its jobs.
 * - A hub that only stood still comes back to find its jobs taken. What it then finds out is not committed.
 * - Notifications wake those who wait. They can be lost with a connection, so everyone also looks now and then.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Duration, Effect, Layer, Queue, Schedule } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import { randomUUID } from "node:crypto"

/** What there is more of: events in the log, or jobs that somebody may take. */
export type News = "events" | "jobs"

export interface SharingOptions {
  /** How long a hub may give no sign of life. Default 10 seconds. */
  readonly lease?: Duration.Input
  /** How often to look without having been told. Default 5 seconds. */
  readonly lookEvery?: Duration.Input
}

const restAfterFailure = "1 second"

export class Hubs extends Context.Service<
  Hubs,
  {
    /** Whether no other hub can have the database. */
    readonly alone: boolean
    /** Ends a statement that may return a column; when it is committed, the other hubs hear of it. */
    readonly tell: (news: News, returning?: string) => Statement.Fragment
    /** Calls back whenever another hub may have written such a thing, until the scope of this service closes. */
    readonly listen: (news: News, heard: () => void) => void
    /** Ends a condition on rows of `derivations`: that no other hub works on the job. */
    readonly free: Statement.Fragment
    /** Ends a condition on rows of `derivations`: that this hub works on the job. */
    readonly mine: Statement.Fragment
    /** Ends a list of changes to rows of `derivations`: from now on this hub works on the job. */
    readonly claim: Statement.Fragment
    /** Ends a list of changes to rows of `derivations`: from now on nobody works on the job. */
    readonly giveUp: Statement.Fragment
  }
>()("@agentlip/hub/Hubs") {
  /** Of a database that belongs to this process. */
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

  /** Of a database on PostgreSQL. When it closes, the jobs of this hub are everybody's. */
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
    // Whatever was said before was said to nobody.
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

  /** Whether the lease had not run out. */
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
      // Whatever kept this hub may have kept the others: they are given the time to come back.
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
      // Then its lease runs out, and the others let go of them.
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
