/** The hub's own metrics, beside those of the plugin runtime. Labels have few values: never ids. */
import { Effect, Metric } from "effect"

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
const database = Metric.gauge("agentlip_database_up", {
  description: "1 if the database answered this scrape; 0 if not: then agentlip_jobs is as it was before."
})
const memory = Metric.gauge("process_resident_memory_bytes", {
  description: "Memory of the hub's process, with plugins in threads and without those in processes."
})
const unindexed = Metric.gauge("agentlip_search_index_left", {
  description: "Messages and attachments of an earlier version that search does not find yet."
})
const closed = Metric.counter("agentlip_sockets_closed_total", {
  description: "WebSockets that the hub closed, by close code.",
  incremental: true
})

/** Makes a metric once for each value of a label: labels have few values, and making one costs more than counting. */
const labelled = <M>(make: (value: string) => M): ((value: string) => M) => {
  const made = new Map<string, M>()
  return (value) => {
    const metric = made.get(value) ?? make(value)
    made.set(value, metric)
    return metric
  }
}
const postsOf = labelled((change) => Metric.withAttributes(posts, { change }))
const rowsOf = labelled((plugin) => Metric.withAttributes(rows, { plugin }))
const commitsOf = labelled((plugin) =>
  labelled((outcome) => Metric.withAttributes(commits, { plugin, outcome }))
)

/** Measures the memory of this process. Done when metrics are read. */
export const memoryMeasured: Effect.Effect<void> = Effect.suspend(() =>
  Metric.update(memory, process.memoryUsage.rss())
)

/** Sets the number of clients that listen to events. */
export const listening = (count: number): Effect.Effect<void> => Metric.update(sockets, count)

/** Sets the number of earlier rows that are not in the search index yet. */
export const searchIndexLeft = (rows: number): Effect.Effect<void> =>
  Metric.update(unindexed, Math.max(0, rows))

/** Counts a WebSocket that the hub closed, by close code. */
export const socketClosed = (code: number): Effect.Effect<void> =>
  Metric.update(Metric.withAttributes(closed, { code: String(code) }), 1)

/** Counts a committed change of a message by a client. */
export const messageChanged = (change: "create" | "edit" | "delete" | "move"): Effect.Effect<void> =>
  Metric.update(postsOf(change), 1)

/** Counts a job whose end is committed, and the rows it added. */
export const jobEnded = (
  plugin: string,
  outcome: "committed" | "empty" | "stale" | "failed",
  derived = 0
): Effect.Effect<void> =>
  Effect.andThen(
    Metric.update(commitsOf(plugin)(outcome), 1),
    derived === 0 ? Effect.void : Metric.update(rowsOf(plugin), derived)
  )

/** Records whether the database answered when open jobs were counted. */
export const databaseAnswered = (answered: boolean): Effect.Effect<void> =>
  Metric.update(database, answered ? 1 : 0)

/** Sets the number of open jobs of plugins. Done when metrics are read, not as jobs come and go. */
export const jobsOpen = (counts: ReadonlyMap<string, number>): Effect.Effect<void> =>
  Effect.forEach(counts, ([plugin, count]) => Metric.update(Metric.withAttributes(jobs, { plugin }), count), {
    discard: true
  })
