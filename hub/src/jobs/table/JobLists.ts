/** Reads the tables of jobs: lists for clients and operators, and counts. Each list includes posts not yet expanded. */
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import type { Job } from "@agentlip/protocol"
import * as Dialect from "../../database/Dialect.ts"
import type { JobKey } from "../Job.ts"
import type { JobEnd } from "../JobStates.ts"

/** A job as the database stores it. */
export interface JobRow extends Omit<Job, "error"> {
  readonly error_json: string | null
}

export interface ListRange {
  readonly limit: number
  /** Only jobs that sort before this one. */
  readonly before: JobKey | undefined
}

const decodeNames = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(Schema.String)))

/** Newest message first. Keys of open jobs, and keys and rows of lists, are in this order. */
const newestFirst = "ORDER BY message_id DESC, content_version DESC, plugin_name DESC"

type Read<A> = Effect.Effect<A, SqlError.SqlError>

/** When the message of the oldest pending job was posted; `null` if no job is pending. */
export const oldestPending: Effect.Effect<string | null, SqlError.SqlError, SqlClient.SqlClient> = Effect.gen(
  function* () {
    const sql = yield* SqlClient.SqlClient
    const [row] = yield* sql<{ since: string | null }>`
      SELECT min(m.created_at) AS since FROM derivations d JOIN messages m ON m.id = d.message_id
      WHERE d.state = 'pending'`
    return row?.since ?? null
  }
)

export class JobLists extends Context.Service<
  JobLists,
  {
    /** The jobs of a message, newest content first. */
    readonly ofMessage: (messageId: string, limit: number, offset: number) => Read<ReadonlyArray<JobRow>>
    /** The plugins that have open jobs, also those that are no longer configured. */
    readonly pluginsWithOpen: Read<ReadonlyArray<string>>
    /** The plugins that have jobs in an end state, also those that are no longer configured. */
    readonly pluginsWithEnded: (state: JobEnd) => Read<ReadonlyArray<string>>
    readonly open: (plugin: string, range: ListRange) => Read<ReadonlyArray<JobKey>>
    readonly ended: (plugin: string, state: JobEnd, range: ListRange) => Read<ReadonlyArray<JobKey>>
    readonly rows: (keys: ReadonlyArray<JobKey>) => Read<ReadonlyArray<JobRow>>
    /** Failed jobs whose message has not changed, newest first. */
    readonly retryable: (
      which: { readonly plugin?: string; readonly message_id?: string },
      limit: number
    ) => Read<ReadonlyArray<JobKey>>
    /** The number of open jobs of each plugin that has some. */
    readonly countOpen: Read<ReadonlyMap<string, number>>
    /** The number of a plugin's open jobs, counted up to `most`, without posts not yet expanded. */
    readonly countSome: (plugin: string, most: number) => Read<number>
    readonly hasOpenOf: (backfill: string) => Read<boolean>
  }
>()("@agentlip/hub/JobLists") {
  static readonly layer: Layer.Layer<JobLists, never, SqlClient.SqlClient> = Layer.effect(
    JobLists,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const givenKeys = Dialect.given(sql, {
        message_id: "text",
        content_version: "integer",
        plugin_name: "text"
      })
      const plugins = Dialect.elements(sql, "plugins_json")

      const ofMessage = (messageId: string, limit: number, offset: number) =>
        sql<JobRow>`
          SELECT message_id, content_version, plugin_name, state, error_json, created_at, ended_at
          FROM derivations WHERE message_id = ${messageId}
          UNION ALL
          SELECT message_id, content_version, element.value, 'pending', NULL, created_at, NULL
          FROM outbox, ${plugins} WHERE message_id = ${messageId} AND NOT EXISTS
            (SELECT 1 FROM derivations AS d WHERE d.message_id = outbox.message_id
              AND d.content_version = outbox.content_version AND d.plugin_name = element.value)
          ORDER BY content_version DESC, plugin_name LIMIT ${limit} OFFSET ${offset}`

      const isOpen = sql`state = 'pending'`
      // Written like this for its index, which has all ended jobs.
      const isEnded = (state: JobEnd) => sql`state <> 'pending' AND state = ${sql.literal(`'${state}'`)}`

      /** One look into the index for each name. */
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

      const pluginsWithOpen = Effect.gen(function* () {
        // Posts of the same plugins have the same text.
        const posts = yield* sql<{ plugins_json: string }>`SELECT DISTINCT plugins_json FROM outbox`
        const names = posts.flatMap(({ plugins_json }) => decodeNames(plugins_json))
        return [...new Set([...(yield* pluginsWith(isOpen)), ...names])]
      })

      const inRange = (name: Statement.Fragment, { before }: ListRange) =>
        before === undefined
          ? sql`TRUE`
          : sql`(message_id, content_version, ${name}) <
              (${before.message_id}, ${before.content_version}, ${before.plugin_name})`

      const keys = (condition: Statement.Fragment, plugin: string, range: ListRange) =>
        sql`
          SELECT message_id, content_version, plugin_name
          FROM derivations WHERE ${condition} AND plugin_name = ${plugin}
            AND ${inRange(sql.literal("plugin_name"), range)}`

      const open = (plugin: string, range: ListRange) => {
        const posts = sql`
          SELECT message_id, content_version, element.value AS plugin_name
          FROM outbox, ${plugins} WHERE element.value = ${plugin}
            AND ${inRange(sql.literal("element.value"), range)}`
        return sql<JobKey>`${Dialect.merged(sql, [keys(isOpen, plugin, range), posts], newestFirst, range.limit)}`
      }

      const ended = (plugin: string, state: JobEnd, range: ListRange) =>
        sql<JobKey>`
          ${keys(isEnded(state), plugin, range)} ${sql.literal(newestFirst)} LIMIT ${range.limit}`

      const rows = (keys: ReadonlyArray<JobKey>) =>
        sql<JobRow>`
          SELECT given.message_id, given.content_version, given.plugin_name,
            COALESCE(d.state, 'pending') AS state, d.error_json,
            COALESCE(d.created_at, posts.created_at) AS created_at, d.ended_at
          FROM ${givenKeys(keys)}
          LEFT JOIN derivations AS d ON d.message_id = given.message_id
            AND d.content_version = given.content_version AND d.plugin_name = given.plugin_name
          LEFT JOIN outbox AS posts ON posts.message_id = given.message_id
            AND posts.content_version = given.content_version
          WHERE d.message_id IS NOT NULL OR posts.message_id IS NOT NULL`

      const retryable = (
        { plugin, message_id }: { readonly plugin?: string; readonly message_id?: string },
        limit: number
      ) =>
        sql<JobKey>`
          SELECT d.message_id, d.content_version, d.plugin_name FROM derivations AS d
          JOIN messages AS m ON m.id = d.message_id AND m.content_version = d.content_version
          WHERE ${sql.and([
            sql`d.state = 'failed'`,
            ...(plugin === undefined ? [] : [sql`d.plugin_name = ${plugin}`]),
            ...(message_id === undefined ? [] : [sql`d.message_id = ${message_id}`])
          ])} AND m.deleted_at IS NULL
          ORDER BY d.message_id DESC, d.content_version DESC, d.plugin_name DESC LIMIT ${limit}`

      const countOpen = Effect.gen(function* () {
        const counts = new Map<string, number>()
        const add = (plugin: string, count: number): void =>
          void counts.set(plugin, (counts.get(plugin) ?? 0) + count)
        const jobs = yield* sql<{ plugin_name: string; open: number }>`
          SELECT plugin_name, CAST(count(*) AS INTEGER) AS open FROM derivations
          WHERE ${isOpen} GROUP BY plugin_name`
        for (const { plugin_name, open } of jobs) add(plugin_name, open)
        const posts = yield* sql<{ plugins_json: string; open: number }>`
          SELECT plugins_json, CAST(count(*) AS INTEGER) AS open FROM outbox GROUP BY plugins_json`
        for (const { plugins_json, open } of posts) {
          for (const plugin of decodeNames(plugins_json)) add(plugin, open)
        }
        return counts
      })

      const countSome = (plugin: string, most: number) =>
        Effect.map(
          sql`SELECT 1 FROM derivations WHERE plugin_name = ${plugin} AND ${isOpen} LIMIT ${most}`,
          ({ length }) => length
        )

      const hasOpenOf = (backfill: string) =>
        Effect.map(
          sql`SELECT 1 FROM derivations WHERE ${isOpen} AND backfill_id = ${backfill} LIMIT 1`,
          ({ length }) => length > 0
        )

      return JobLists.of({
        ofMessage,
        pluginsWithOpen,
        pluginsWithEnded: (state) => pluginsWith(isEnded(state)),
        open,
        ended,
        rows,
        retryable,
        countOpen,
        countSome,
        hasOpenOf
      })
    })
  )
}
