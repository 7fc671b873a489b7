/**
 * The hubs that share a PostgreSQL database. Loaded only by hubs that use one: the driver costs memory and time.
 *
 * **Details**: notifications wake the other hubs. A lost connection can lose them, so every hub also looks from time to
 * time.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Queue, Schedule } from "effect"
import type { SqlError } from "effect/sql"
import { randomUUID } from "node:crypto"
import { Hubs, type News } from "./Hubs.ts"
import { Outage } from "./Outage.ts"

/** How often to look without a notification. */
const lookEvery = "5 seconds"
const restAfterFailure = "1 second"

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const id = randomUUID()
  const [named] = yield* sql<{ channel: string }>`SELECT 'agentlip_' || md5(current_schema()) AS channel`
  const channel = named?.channel ?? "agentlip"
  const listeners: Array<{ readonly news: News; readonly heard: () => void }> = []

  const wake = (news?: string): void => {
    for (const listener of listeners) if (news === undefined || listener.news === news) listener.heard()
  }

  const outage = new Outage({
    begun: "other hubs are not heard; looking now and then",
    ended: "other hubs are heard again"
  })
  const follow = Effect.gen(function* () {
    const notifications = yield* sql.listen(channel)
    yield* outage.over
    // Notifications before this point were missed, so wake everyone.
    wake()
    while (true) {
      const { payload } = yield* Queue.take(notifications)
      const [news, from] = payload.split(" ")
      if (from !== id) wake(news)
    }
  }).pipe(Effect.scoped)

  yield* follow.pipe(
    Effect.tapError((error) => outage.log(error)),
    Effect.retry(Schedule.spaced(restAfterFailure)),
    Effect.forkScoped
  )
  yield* Effect.sync(() => wake()).pipe(Effect.repeat(Schedule.spaced(lookEvery)), Effect.forkScoped)

  return Hubs.of({
    id,
    tell: (news, returning) => {
      const told = `pg_notify('${channel}', '${news} ${id}') IS NULL AS told`
      return sql.literal(` RETURNING ${returning === undefined ? told : `${returning}, ${told}`}`)
    },
    listen: (news, heard) => void listeners.push({ news, heard }),
    wake
  })
})

export const layer: Layer.Layer<Hubs, SqlError.SqlError, PgClient.PgClient> = Layer.effect(Hubs, make)
