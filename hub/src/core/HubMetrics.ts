/** What the hub counts beside what its plugin runtime does. Labels are bounded: never ids. */
import { Effect, Metric } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"

const posts = Metric.counter("agentlip_messages_total", {
  description: "Changes of messages that clients made: create, edit, delete or move.",
  incremental: true
})
const commits = Metric.counter("agentlip_commits_total", {
  description: "Jobs that ended, by how: committed, empty, stale (the output was discarded) or failed.",
  incremental: true
})
const rows = Metric.counter("agentlip_derived_rows_total", {
  description: "Rows that were committed for plugins.",
  incremental: true
})
const jobs = Metric.gauge("agentlip_jobs", {
  description: "Jobs that have not ended: to be run, running, or waiting for the plugin's breaker."
})
const sockets = Metric.gauge("agentlip_sockets", {
  description: "WebSockets and event streams that are open."
})
const closed = Metric.counter("agentlip_sockets_closed_total", {
  description: "WebSockets that the hub closed, by close code.",
  incremental: true
})

/** So many clients listen to events now. */
export const listening = (count: number): Effect.Effect<void> => Metric.update(sockets, count)

/** The hub closed a WebSocket, for the reason that the code stands for. */
export const socketClosed = (code: number): Effect.Effect<void> =>
  Metric.update(Metric.withAttributes(closed, { code: String(code) }), 1)

/** A client changed a message, and the change is committed. */
export const messageChanged = (change: "create" | "edit" | "delete" | "move"): Effect.Effect<void> =>
  Metric.update(Metric.withAttributes(posts, { change }), 1)

/** A job ended, and its end is committed with this many rows. */
export const jobEnded = (
  plugin: string,
  outcome: "committed" | "empty" | "stale" | "failed",
  derived = 0
): Effect.Effect<void> =>
  Effect.andThen(
    Metric.update(Metric.withAttributes(commits, { plugin, outcome }), 1),
    derived === 0 ? Effect.void : Metric.update(Metric.withAttributes(rows, { plugin }), derived)
  )

/** Counts the jobs of these plugins that are open now; done when somebody reads, not as they come and go. */
export const countJobs = (
  plugins: ReadonlyArray<string>
): Effect.Effect<void, SqlError.SqlError, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const found = yield* sql<{ plugin_name: string; open: number }>`
      SELECT plugin_name, CAST(sum(jobs) AS INTEGER) AS open FROM (
        SELECT plugin_name, count(*) AS jobs FROM derivations WHERE state = 'pending' GROUP BY plugin_name
        UNION ALL
        SELECT value, count(*) FROM outbox, ${Dialect.elements(sql, "plugins_json")} GROUP BY value
      ) AS counted GROUP BY plugin_name`
    const open = new Map(found.map((row) => [row.plugin_name, row.open]))
    for (const plugin of plugins) {
      yield* Metric.update(Metric.withAttributes(jobs, { plugin }), open.get(plugin) ?? 0)
    }
  })
