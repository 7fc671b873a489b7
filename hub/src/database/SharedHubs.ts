/**
 * The hubs that share a PostgreSQL database. Loaded only by hubs that use one: the driver costs memory and time.
 */
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Layer, Queue, Schedule } from "effect"
import type { SqlError, Statement } from "effect/sql"
import { randomUUID } from "node:crypto"
import { Hubs, type News } from "./Hubs.ts"

export interface SharingOptions {
  /** How long a hub keeps its jobs without a sign of life. Default 10 seconds. */
  readonly lease?: Duration.Input
  /** How often to look without a notification. Default 5 seconds. */
  readonly lookEvery?: Duration.Input
}

const restAfterFailure = "1 second"

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

/** For a shared PostgreSQL database. When the layer closes, it frees this hub's jobs. */
export const layer = (
  options: SharingOptions = {}
): Layer.Layer<Hubs, SqlError.SqlError, PgClient.PgClient> => Layer.effect(Hubs, make(options))
