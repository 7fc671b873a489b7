/** The state of every job of a message, as clients see it. */
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import { type Offset, Pages } from "../database/Pages.ts"
import { type Job, JobError, type JobState } from "@agentlip/protocol"

/** The states in which a job ends. */
export type End = Exclude<JobState, "pending" | "waiting">

/** A job as the database stores it. */
export interface JobRow extends Omit<Job, "error"> {
  readonly error_json: string | null
}

const decodeError = Schema.decodeUnknownSync(Schema.fromJsonString(JobError))

export class JobStates extends Context.Service<
  JobStates,
  {
    /** Shows every open job of a plugin as `waiting`, new ones too, until `resume`. */
    readonly wait: (plugin: string, error: JobError) => void
    readonly resume: (plugin: string) => void
    /** True between `wait` and `resume` of a plugin. */
    readonly isWaiting: (plugin: string) => boolean
    /** Converts a row to what clients see. */
    readonly toJob: (row: JobRow) => Job
    /** Newest content first. */
    readonly list: (
      messageId: string,
      page: Offset
    ) => Effect.Effect<
      { readonly derivations: ReadonlyArray<Job>; readonly has_more: boolean },
      SqlError.SqlError
    >
  }
>()("@agentlip/hub/JobStates") {
  static readonly layer: Layer.Layer<JobStates, never, SqlClient.SqlClient> = Layer.effect(
    JobStates,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const pages = yield* Pages
      const plugins = Dialect.elements(sql, "plugins_json")
      // Kept in memory like the breakers, so that an opening breaker does not update every open job in the database.
      const waiting = new Map<string, JobError>()

      const toJob = ({ error_json, ...row }: JobRow): Job => {
        const error = row.state === "pending" ? waiting.get(row.plugin_name) : undefined
        return error === undefined
          ? { ...row, error: error_json === null ? null : decodeError(error_json) }
          : { ...row, state: "waiting", error }
      }

      const list = Effect.fnUntraced(function* (messageId: string, { limit, offset = 0 }: Offset) {
        const { rows, has_more } = yield* pages.page<JobRow, SqlError.SqlError, never>({
          limit,
          read: (count, _, index) => sql`
            SELECT message_id, content_version, plugin_name, state, error_json, created_at, ended_at
            FROM derivations WHERE message_id = ${messageId}
            UNION ALL
            SELECT message_id, content_version, value, 'pending', NULL, created_at, NULL
            FROM outbox, ${plugins} WHERE message_id = ${messageId}
            ORDER BY content_version DESC, plugin_name LIMIT ${count} OFFSET ${offset + index}`
        })
        return { derivations: rows.map(toJob), has_more }
      })

      return JobStates.of({
        wait: (plugin, error) => void waiting.set(plugin, error),
        resume: (plugin) => void waiting.delete(plugin),
        isWaiting: (plugin) => waiting.has(plugin),
        toJob,
        list
      })
    })
  ).pipe(Layer.provide(Pages.layer))
}
