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
import { Context, Effect, Layer } from "effect"
import { SqlClient, type Statement } from "effect/sql"

/** What other hubs may have added: events in the log, or jobs that can be taken. */
export type News = "events" | "jobs"

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
}
