/** The jobs of all messages, for operators: list them, and retry the failed ones. */
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import { Pages } from "../database/Pages.ts"
import { JobStates, type JobRow } from "./JobStates.ts"
import type { Job, JobState } from "@agentlip/protocol"
import { type JobKey, JobQueue } from "./JobQueue.ts"

export interface JobQuery {
  /** Default `pending`, `waiting` and `failed`. */
  readonly state?: ReadonlyArray<JobState> | undefined
  readonly plugin?: string | undefined
  readonly limit: number
  /** The `next` of the page before this one. */
  readonly before?: string | undefined
}

/** Jobs retried in one call. Older jobs go first, so a large retry would delay new messages. */
const retriedAtOnce = 256

const isOpen = (state: JobState): boolean => state === "pending" || state === "waiting"

/** The sort position of a job. The position of a page's last job is the cursor for the next page. */
const positionOf = ({ message_id, content_version, plugin_name }: JobKey): string =>
  [message_id, String(content_version).padStart(10, "0"), plugin_name].join("/")

const newestFirst = (one: JobKey, other: JobKey): number => (positionOf(one) < positionOf(other) ? 1 : -1)

export class Jobs extends Context.Service<
  Jobs,
  {
    /** Newest message first. `next` is the cursor for the next page, or `null` on the last one. */
    readonly list: (
      query: JobQuery
    ) => Effect.Effect<{ readonly jobs: ReadonlyArray<Job>; readonly next: string | null }, SqlError.SqlError>
    /** Retries failed jobs whose message has not changed, at most 256. `more` is true if others remain. */
    readonly retry: (which: {
      readonly plugin?: string
      readonly message_id?: string
    }) => Effect.Effect<{ readonly retried: number; readonly more: boolean }, SqlError.SqlError>
  }
>()("@agentlip/hub/Jobs") {
  static readonly layer: Layer.Layer<Jobs, never, SqlClient.SqlClient | JobStates | JobQueue> = Layer.effect(
    Jobs,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const jobStates = yield* JobStates
      const queue = yield* JobQueue
      const pages = yield* Pages
      const givenJobs = Dialect.given(sql, {
        message_id: "text",
        content_version: "integer",
        plugin_name: "text"
      })

      /** The next jobs of one plugin that match a condition. Each condition has an index. */
      const some = (condition: Statement.Fragment, plugin: string, { before, limit }: JobQuery) => {
        const [message_id = "", version = "0", ...name] = before?.split("/") ?? []
        const rest =
          before === undefined
            ? sql`TRUE`
            : sql`(message_id, content_version, plugin_name) < (${message_id}, ${Number(version)}, ${name.join("/")})`
        return sql<JobKey>`
            SELECT message_id, content_version, plugin_name
            FROM derivations WHERE ${condition} AND plugin_name = ${plugin} AND ${rest}
            ORDER BY message_id DESC, content_version DESC, plugin_name DESC LIMIT ${limit + 1}`
      }

      const ended = (state: JobState) => sql`state <> 'pending' AND state = ${sql.literal(`'${state}'`)}`

      const open = sql`state = 'pending'`

      /** The names of all plugins that have such jobs, including plugins that are no longer configured. */
      const pluginsWith = Effect.fnUntraced(function* (condition: Statement.Fragment) {
        const names: Array<string> = []
        while (true) {
          const [row] = yield* sql<{ name: string | null }>`
              SELECT min(plugin_name) AS name FROM derivations
              WHERE ${condition} AND plugin_name > ${names.at(-1) ?? ""}`
          if (typeof row?.name !== "string") return names
          names.push(row.name)
        }
      })

      const keysOf = Effect.fnUntraced(function* (query: JobQuery) {
        const { state: states = ["pending", "waiting", "failed"], plugin, limit } = query
        const keys: Array<JobKey> = []
        const add = Effect.fnUntraced(function* (condition: Statement.Fragment, name: string) {
          keys.push(...(yield* some(condition, name, query)))
          // Keep no more than one page needs while going through many plugins.
          if (keys.length > 4 * limit) keys.sort(newestFirst).splice(limit + 1)
          yield* Effect.yieldNow
        })
        if (states.some(isOpen)) {
          for (const name of plugin === undefined ? yield* pluginsWith(open) : [plugin]) {
            if (states.includes(jobStates.isWaiting(name) ? "waiting" : "pending")) yield* add(open, name)
          }
        }
        for (const state of new Set(states)) {
          if (isOpen(state)) continue
          for (const name of plugin === undefined ? yield* pluginsWith(ended(state)) : [plugin]) {
            yield* add(ended(state), name)
          }
        }
        return keys.sort(newestFirst)
      })

      const list = Effect.fnUntraced(function* (query: JobQuery) {
        const keys = yield* keysOf(query)
        const { rows, has_more } = yield* pages.page<JobRow, SqlError.SqlError, never>({
          limit: query.limit,
          read: (count, _, index) =>
            Effect.map(
              sql<JobRow>`
                  SELECT d.message_id, d.content_version, d.plugin_name, state, error_json, created_at, ended_at
                  FROM ${givenJobs(keys.slice(index, index + count))} JOIN derivations AS d
                    ON d.message_id = given.message_id AND d.content_version = given.content_version
                      AND d.plugin_name = given.plugin_name`,
              (found) => found.toSorted(newestFirst)
            )
        })
        const last = rows.at(-1)
        return {
          jobs: rows.map(jobStates.toJob),
          next: has_more && last !== undefined ? positionOf(last) : null
        }
      })

      const retry = Effect.fnUntraced(function* (which: {
        readonly plugin?: string
        readonly message_id?: string
      }) {
        const chosen = sql.and([
          sql`d.state = 'failed'`,
          ...(which.plugin === undefined ? [] : [sql`d.plugin_name = ${which.plugin}`]),
          ...(which.message_id === undefined ? [] : [sql`d.message_id = ${which.message_id}`])
        ])
        const failed = yield* sql<JobKey>`
            SELECT d.message_id, d.content_version, d.plugin_name FROM derivations AS d
            JOIN messages AS m ON m.id = d.message_id AND m.content_version = d.content_version
            WHERE ${chosen} AND m.deleted_at IS NULL
            ORDER BY d.message_id DESC, d.content_version DESC, d.plugin_name DESC LIMIT ${retriedAtOnce + 1}`
        const retried = yield* queue.offerAgain(failed.slice(0, retriedAtOnce))
        return { retried, more: failed.length > retriedAtOnce }
      }, sql.withTransaction)

      return Jobs.of({ list, retry })
    })
  ).pipe(Layer.provide(Pages.layer))
}
