/**
 * The hubs that share one database, and how they notice each other's writes. jobs/Leases.ts shares the jobs among them.
 * SharedHubs.ts has the hubs on PostgreSQL.
 */
import { Context, Effect, Layer } from "effect"
import { SqlClient, type Statement } from "effect/sql"

/** What other hubs may have added: events in the log, or jobs that can be claimed. */
export type News = "events" | "jobs"

export class Hubs extends Context.Service<
  Hubs,
  {
    /** This hub's id among those that share the database; `undefined` if no other hub can use it. */
    readonly id: string | undefined
    /** Goes at the end of a statement and notifies the other hubs on commit. It can also return a column. */
    readonly tell: (news: News, returning?: string) => Statement.Fragment
    /** Calls `heard` whenever another hub may have added something, until the scope of this service closes. */
    readonly listen: (news: News, heard: () => void) => void
    /** Calls the listeners of this hub. */
    readonly wake: (news: News) => void
  }
>()("@agentlip/hub/Hubs") {
  /** For a database that only this process uses, as a SQLite file. */
  static readonly alone: Layer.Layer<Hubs, never, SqlClient.SqlClient> = Layer.effect(
    Hubs,
    Effect.map(SqlClient.SqlClient, (sql) =>
      Hubs.of({
        id: undefined,
        tell: (_, returning) => sql.literal(returning === undefined ? "" : ` RETURNING ${returning}`),
        listen: () => {},
        wake: () => {}
      })
    )
  )
}
