/**
 * The tables of jobs: every statement that opens, claims, ends or frees a job. `JobLists.ts` reads them and `OldJobs.ts`
 * removes ended jobs. No other file names these tables.
 *
 * **Details**
 *
 * - The jobs are in the table `derivations`, as in the databases of earlier hubs.
 * - A post writes one row into `outbox`, with the names of all plugins. `expand` creates the jobs of many posts at once.
 * - If hubs share the database, the row of a claimed job holds the hub that works on it. If the hub is alone, it keeps
 *   its jobs in memory only, and after a crash every open job is free at once.
 */
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Dialect from "../../database/Dialect.ts"
import * as EachRow from "../../database/EachRow.ts"
import { Hubs } from "../../database/Hubs.ts"
import { type ClaimedJob, jobKeyOf, type JobKey, type JobMessage, type PostedContent } from "../Job.ts"
import type { JobEnd } from "../JobStates.ts"

/** A job that can be claimed. */
export interface OpenJob extends JobKey {
  /** How often the job was started before. */
  readonly attempts: number
}

export interface EndedJob extends JobKey {
  readonly state: JobEnd
  readonly error_json: string | null
}

/** Posts expanded in one transaction: few enough not to delay other posts. */
export const postsAtOnce = 64

type Storage = SqlError.SqlError

export class JobTable extends Context.Service<
  JobTable,
  {
    /** Writes a row for each content, which gets a job for every plugin. Call it inside the transaction of the contents. */
    readonly post: (
      contents: ReadonlyArray<PostedContent>,
      plugins: ReadonlyArray<string>,
      created_at: string
    ) => Effect.Effect<void, Storage>
    /**
     * Creates the jobs of the oldest posts. Returns how many posts there were: there are no more if below `postsAtOnce`.
     * If the hub is alone, call it inside a transaction.
     */
    readonly expand: Effect.Effect<number, Storage>
    /** The number of posts without jobs, counted up to `most`. */
    readonly countPosts: (most: number) => Effect.Effect<number, Storage>
    /**
     * Reopens ended jobs and creates missing ones. Jobs that are open are left alone, and so are jobs that the same
     * `backfill` has opened before. Returns how many jobs it opened.
     */
    readonly reopen: (
      jobs: ReadonlyArray<JobKey>,
      created_at: string,
      backfill: string | undefined
    ) => Effect.Effect<number, Storage>
    /** The oldest open jobs of a plugin that no other hub works on. */
    readonly oldest: (plugin: string, count: number) => Effect.Effect<ReadonlyArray<OpenJob>, Storage>
    /** Claims open jobs for this hub. A first delivery is counted now, later ones by `countDelivery`. */
    readonly claim: (jobs: ReadonlyArray<OpenJob>) => Effect.Effect<ReadonlyArray<ClaimedJob>, Storage>
    readonly countDelivery: (job: JobKey) => Effect.Effect<void, Storage>
    /** Frees claimed jobs without counting their delivery. */
    readonly giveBack: (jobs: ReadonlyArray<ClaimedJob>) => Effect.Effect<void, Storage>
    /** Frees the jobs of hubs that are gone. Returns how many there were. */
    readonly freeJobsOf: (hubs: ReadonlyArray<string>) => Effect.Effect<number, Storage>
    /** Ends jobs that are still open and that this hub works on. Returns those that it ended. */
    readonly end: (
      jobs: ReadonlyArray<EndedJob>,
      ended_at: string
    ) => Effect.Effect<ReadonlyArray<JobKey>, Storage>
    /** Removes the errors of a deleted message's jobs, because they may quote it. */
    readonly forgetErrors: (messageId: string) => Effect.Effect<void, Storage>
  }
>()("@agentlip/hub/JobTable") {
  static readonly layer: Layer.Layer<JobTable, never, SqlClient.SqlClient | Hubs> = Layer.effect(
    JobTable,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const hubs = yield* Hubs
      const key = { message_id: "text", content_version: "integer", plugin_name: "text" } as const
      const givenIds = Dialect.given(sql, { id: "text" })
      const givenKeys = Dialect.given(sql, key)
      const givenAttempts = Dialect.given(sql, { ...key, attempts: "integer" })
      const givenEnds = Dialect.given(sql, { ...key, state: "text", error_json: "text", ended_at: "text" })
      const told = hubs.tell("jobs")
      const toldWhich = hubs.tell("jobs", "message_id")

      // A SQLite file has no column `owner`: only one hub uses it.
      const owned = (fragment: (hub: string) => string) =>
        sql.literal(hubs.id === undefined ? "" : fragment(hubs.id))
      const free = owned((hub) => ` AND (owner IS NULL OR owner = '${hub}')`)
      const mine = owned((hub) => ` AND owner = '${hub}'`)
      const take = owned((hub) => `, owner = '${hub}'`)
      const letGo = owned(() => ", owner = NULL")

      const isGiven = sql.literal(`derivations.message_id = given.message_id
        AND derivations.content_version = given.content_version AND derivations.plugin_name = given.plugin_name`)

      const addPosts = EachRow.insert(
        sql,
        "outbox",
        {
          message_id: "text",
          content_version: "integer",
          plugins_json: "text",
          created_at: "text",
          traceparent: "text"
        },
        told
      )
      const post = (
        contents: ReadonlyArray<PostedContent>,
        plugins: ReadonlyArray<string>,
        created_at: string
      ) => {
        const plugins_json = JSON.stringify(plugins)
        return Effect.asVoid(addPosts(contents.map((content) => ({ ...content, plugins_json, created_at }))))
      }

      const expandOldest = Effect.gen(function* () {
        const inOrder = sql`ORDER BY message_id, content_version LIMIT ${postsAtOnce}`
        yield* sql`
          INSERT INTO derivations (message_id, content_version, plugin_name, state, created_at, traceparent)
          SELECT message_id, content_version, element.value, 'pending', created_at, traceparent
          FROM (SELECT * FROM outbox ${inOrder}) AS oldest, ${Dialect.elements(sql, "oldest.plugins_json")}
          WHERE TRUE ON CONFLICT DO NOTHING`
        const expanded = yield* sql`
          DELETE FROM outbox WHERE (message_id, content_version) IN
            (SELECT message_id, content_version FROM outbox ${inOrder})
          RETURNING message_id`
        return expanded.length
      })

      // Look first if hubs share the database: another hub may have expanded the posts. Then there is no need to wait
      // for the lock.
      const expand =
        hubs.id === undefined
          ? expandOldest
          : Effect.flatMap(sql`SELECT 1 FROM outbox LIMIT 1`, (found) =>
              found.length === 0 ? Effect.succeed(0) : sql.withTransaction(expandOldest)
            )

      const countPosts = (most: number) =>
        Effect.map(
          sql<{ n: number }>`
            SELECT CAST(count(*) AS INTEGER) AS n FROM (SELECT 1 FROM outbox LIMIT ${most}) AS posts`,
          ([row]) => row?.n ?? 0
        )

      const reopen = (jobs: ReadonlyArray<JobKey>, created_at: string, backfill: string | undefined) =>
        Effect.map(
          sql`
            INSERT INTO derivations (message_id, content_version, plugin_name, state, created_at, backfill_id)
            SELECT message_id, content_version, plugin_name, 'pending', ${created_at}, ${backfill ?? null}
            FROM ${givenKeys(jobs)}
            WHERE TRUE ON CONFLICT (message_id, content_version, plugin_name) DO UPDATE
              SET state = 'pending', attempts = 0, error_json = NULL, ended_at = NULL, traceparent = NULL,
                backfill_id = excluded.backfill_id
              WHERE derivations.state <> 'pending'
                AND COALESCE(derivations.backfill_id, '') <> ${backfill ?? "none"}${toldWhich}`,
          ({ length }) => length
        )

      const oldest = (plugin_name: string, count: number) =>
        Effect.map(
          sql<Omit<OpenJob, "plugin_name">>`
            SELECT message_id, content_version, attempts FROM derivations
            WHERE plugin_name = ${plugin_name} AND state = 'pending'${free}
            ORDER BY message_id, content_version LIMIT ${count}`,
          (rows) => rows.map((row): OpenJob => ({ ...row, plugin_name }))
        )

      const claim = Effect.fnUntraced(function* (jobs: ReadonlyArray<OpenJob>) {
        const before = new Map(jobs.map((job) => [jobKeyOf(job), job.attempts]))
        const claimed = yield* sql<JobKey & Pick<ClaimedJob, "traceparent">>`
          UPDATE derivations SET attempts = CASE attempts WHEN 0 THEN 1 ELSE attempts END${take}
          WHERE state = 'pending' AND (message_id, content_version, plugin_name) IN
            (SELECT message_id, content_version, plugin_name FROM ${givenKeys(jobs)})
          RETURNING message_id, content_version, plugin_name, traceparent`
        const ids = [...new Set(claimed.map(({ message_id }) => message_id))]
        const messages = yield* sql<JobMessage>`
          SELECT id, content_raw, sender, topic_id, channel_id, created_at, content_version, deleted_at
          FROM messages WHERE id IN (SELECT id FROM ${givenIds(ids.map((id) => ({ id })))})`
        const byId = new Map(messages.map((message) => [message.id, message]))
        return claimed.flatMap((row): ReadonlyArray<ClaimedJob> => {
          const message = byId.get(row.message_id)
          const attempts = before.get(jobKeyOf(row)) ?? 0
          return message === undefined
            ? []
            : [{ ...row, attempts: attempts + 1, again: attempts > 0, message }]
        })
      })

      const countDelivery = ({ message_id, content_version, plugin_name }: JobKey) =>
        Effect.asVoid(sql`
          UPDATE derivations SET attempts = attempts + 1 WHERE message_id = ${message_id}
            AND content_version = ${content_version} AND plugin_name = ${plugin_name}${mine}`)

      const giveBack = (jobs: ReadonlyArray<ClaimedJob>) =>
        Effect.asVoid(sql`
          UPDATE derivations SET attempts = given.attempts${letGo}
          FROM ${givenAttempts(jobs.map((job) => ({ ...job, attempts: job.attempts - 1 })))}
          WHERE state = 'pending'${mine} AND ${isGiven}${told}`)

      const freeJobsOf = (gone: ReadonlyArray<string>) =>
        Effect.map(
          sql`UPDATE derivations SET owner = NULL WHERE state = 'pending' AND ${sql.in("owner", gone)}${told}`,
          ({ length }) => length
        )

      const endGiven = EachRow.run(
        sql,
        { state: "text", error_json: "text", ended_at: "text", ...key },
        {
          sqlite: {
            statement: `UPDATE derivations SET state = ?, error_json = ?, ended_at = ?
              WHERE message_id = ? AND content_version = ? AND plugin_name = ? AND state = 'pending'`,
            result: (ran, jobs) => jobs.filter((_, index) => ran[index]?.changes === 1)
          },
          other: (jobs: ReadonlyArray<EndedJob & { readonly ended_at: string }>) =>
            sql<JobKey>`
              UPDATE derivations
              SET state = given.state, error_json = given.error_json, ended_at = given.ended_at${letGo}
              FROM ${givenEnds(jobs)}
              WHERE ${isGiven} AND derivations.state = 'pending'${mine}
              RETURNING derivations.message_id, derivations.content_version, derivations.plugin_name`
        }
      )
      const end = (jobs: ReadonlyArray<EndedJob>, ended_at: string) =>
        endGiven(jobs.map((job) => ({ ...job, ended_at })))

      const forgetErrors = (messageId: string) =>
        Effect.asVoid(sql`
          UPDATE derivations SET error_json = NULL WHERE message_id = ${messageId} AND error_json IS NOT NULL`)

      return JobTable.of({
        post,
        expand,
        countPosts,
        reopen,
        oldest,
        claim,
        countDelivery,
        giveBack,
        freeJobsOf,
        end,
        forgetErrors
      })
    })
  )
}
