/** Finds and removes jobs that ended long ago. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import * as Dialect from "../../database/Dialect.ts"
import type { JobKey } from "../Job.ts"

/** Jobs looked at by one statement. */
const jobsAtOnce = 500

export interface OldJobs {
  /** Only jobs that ended before this time. */
  readonly endedBefore: string
  /** Only jobs of messages with smaller ids. A job never ends before its message exists, so it need not look further. */
  readonly messagesBefore: string
}

/**
 * Looks at the next jobs after `last`. `old` are those that ended before the time; `last` is the last job it looked at,
 * or `undefined` if there are no more.
 */
export const nextOldJobs = Effect.fnUntraced(function* (
  { endedBefore, messagesBefore }: OldJobs,
  last?: JobKey
) {
  const sql = yield* SqlClient.SqlClient
  const after =
    last === undefined
      ? sql``
      : sql`AND (message_id, content_version, plugin_name) >
          (${last.message_id}, ${last.content_version}, ${last.plugin_name})`
  const rows = yield* sql<JobKey & { readonly state: string; readonly ended_at: string | null }>`
    SELECT message_id, content_version, plugin_name, state, ended_at FROM derivations
    WHERE message_id < ${messagesBefore} ${after}
    ORDER BY message_id, content_version, plugin_name LIMIT ${jobsAtOnce}`
  const old: ReadonlyArray<JobKey> = rows.filter(
    ({ state, ended_at }) => state !== "pending" && ended_at !== null && ended_at < endedBefore
  )
  return { old, last: rows.length < jobsAtOnce ? undefined : rows.at(-1) }
})

/** Removes jobs, except those that were opened again meanwhile. Returns how many it removed. */
export const removeJobs = Effect.fnUntraced(function* (jobs: ReadonlyArray<JobKey>) {
  if (jobs.length === 0) return 0
  const sql = yield* SqlClient.SqlClient
  const given = Dialect.given(sql, {
    message_id: "text",
    content_version: "integer",
    plugin_name: "text"
  })
  const removed = yield* sql`
    DELETE FROM derivations WHERE state <> 'pending' AND (message_id, content_version, plugin_name) IN
      (SELECT message_id, content_version, plugin_name FROM ${given(jobs)}) RETURNING message_id`
  return removed.length
})
