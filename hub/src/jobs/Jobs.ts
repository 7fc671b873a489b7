/** The jobs as clients and operators see them: list them, and retry the failed ones. */
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { type Job, JobError, type JobState } from "@agentlip/protocol"
import { type Offset, Pages } from "../database/Pages.ts"
import { timestamp } from "../timestamp.ts"
import type { JobKey } from "./Job.ts"
import { JobQueue } from "./JobQueue.ts"
import { isEnd } from "./JobStates.ts"
import { PausedPlugins } from "./PausedPlugins.ts"
import { JobLists, type JobRow } from "./table/JobLists.ts"

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

const decodeError = Schema.decodeUnknownSync(Schema.fromJsonString(JobError))

/** The sort position of a job. The position of a page's last job is the cursor for the next page. */
const positionOf = ({ message_id, content_version, plugin_name }: JobKey): string =>
  [message_id, String(content_version).padStart(10, "0"), plugin_name].join("/")

const keyAt = (position: string): JobKey => {
  const [message_id = "", version = "0", ...name] = position.split("/")
  return { message_id, content_version: Number(version), plugin_name: name.join("/") }
}

const newestFirst = (one: JobKey, other: JobKey): number => (positionOf(one) < positionOf(other) ? 1 : -1)

export class Jobs extends Context.Service<
  Jobs,
  {
    /** The jobs of one message, newest content first. */
    readonly ofMessage: (
      messageId: string,
      page: Offset
    ) => Effect.Effect<{ readonly jobs: ReadonlyArray<Job>; readonly has_more: boolean }, SqlError.SqlError>
    /** Newest message first. `next` is the cursor for the next page, or `null` on the last one. */
    readonly list: (
      query: JobQuery
    ) => Effect.Effect<{ readonly jobs: ReadonlyArray<Job>; readonly next: string | null }, SqlError.SqlError>
    /** The number of open jobs of each of these plugins. */
    readonly countOpen: (
      plugins: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyMap<string, number>, SqlError.SqlError>
    /** Retries failed jobs whose message has not changed, at most 256. `more` is true if others remain. */
    readonly retry: (which: {
      readonly plugin?: string
      readonly message_id?: string
    }) => Effect.Effect<{ readonly retried: number; readonly more: boolean }, SqlError.SqlError>
  }
>()("@agentlip/hub/Jobs") {
  static readonly layer: Layer.Layer<Jobs, never, SqlClient.SqlClient | PausedPlugins | JobQueue> =
    Layer.effect(
      Jobs,
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const lists = yield* JobLists
        const paused = yield* PausedPlugins
        const queue = yield* JobQueue
        const pages = yield* Pages

        const toJob = ({ error_json, ...row }: JobRow): Job => {
          const error = row.state === "pending" ? paused.errorOf(row.plugin_name) : undefined
          return error === undefined
            ? { ...row, error: error_json === null ? null : decodeError(error_json) }
            : { ...row, state: "waiting", error }
        }

        const ofMessage = (messageId: string, { limit, offset = 0 }: Offset) =>
          Effect.map(
            pages.page<JobRow, SqlError.SqlError, never>({
              limit,
              read: (count, _, index) => lists.ofMessage(messageId, count, offset + index)
            }),
            ({ rows, has_more }) => ({ jobs: rows.map(toJob), has_more })
          )

        const keysOf = Effect.fnUntraced(function* (query: JobQuery) {
          const { plugin, limit, before } = query
          const states = new Set<JobState>(query.state ?? ["pending", "waiting", "failed"])
          const range = { limit: limit + 1, before: before === undefined ? undefined : keyAt(before) }
          const found: Array<JobKey> = []
          const add = Effect.fnUntraced(function* (
            keys: Effect.Effect<ReadonlyArray<JobKey>, SqlError.SqlError>
          ) {
            found.push(...(yield* keys))
            // Keep no more than one page needs while going through many plugins.
            if (found.length > 4 * limit) found.sort(newestFirst).splice(limit + 1)
            yield* Effect.yieldNow
          })
          if (states.has("pending") || states.has("waiting")) {
            for (const name of plugin === undefined ? yield* lists.pluginsWithOpen : [plugin]) {
              const state = paused.errorOf(name) === undefined ? "pending" : "waiting"
              if (states.has(state)) yield* add(lists.open(name, range))
            }
          }
          for (const state of states) {
            if (!isEnd(state)) continue
            for (const name of plugin === undefined ? yield* lists.pluginsWithEnded(state) : [plugin]) {
              yield* add(lists.ended(name, state, range))
            }
          }
          return found.sort(newestFirst)
        })

        const list = Effect.fnUntraced(function* (query: JobQuery) {
          const keys = yield* keysOf(query)
          const { rows, has_more } = yield* pages.page<JobRow, SqlError.SqlError, never>({
            limit: query.limit,
            read: (count, _, index) =>
              Effect.map(lists.rows(keys.slice(index, index + count)), (rows) => rows.toSorted(newestFirst))
          })
          const last = rows.at(-1)
          return {
            jobs: rows.map(toJob),
            next: has_more && last !== undefined ? positionOf(last) : null
          }
        })

        const retry = Effect.fnUntraced(function* (which: {
          readonly plugin?: string
          readonly message_id?: string
        }) {
          const failed = yield* lists.retryable(which, retriedAtOnce + 1)
          const retried = yield* queue.offerAgain(failed.slice(0, retriedAtOnce), yield* timestamp)
          return { retried, more: failed.length > retriedAtOnce }
        }, sql.withTransaction)

        const countOpen = (plugins: ReadonlyArray<string>) =>
          Effect.map(
            lists.countOpen,
            (counts) => new Map(plugins.map((plugin) => [plugin, counts.get(plugin) ?? 0]))
          )

        return Jobs.of({ ofMessage, list, countOpen, retry })
      })
    ).pipe(Layer.provide(Pages.layer), Layer.provide(JobLists.layer))
}
