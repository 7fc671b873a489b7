/**
 * The queue of jobs. A job is written in the same transaction as its message and delivered at least once.
 *
 * **Details**
 *
 * - A post writes one short `outbox` row that names all plugins. The jobs are created from these rows when the queue
 *   is read, for many posts at once. Each job is then a row in `derivations` with the state `pending`. The transaction
 *   that commits the findings also ends the job.
 * - If this hub is the only one on the database, it keeps in memory which jobs are taken. After a crash, every open
 *   job can be taken again at once. If several hubs share the database, the hub that takes a job is stored in the
 *   job's row.
 * - A job that started before and never ended is delivered alone: it may be the one that crashes the process, and
 *   other jobs of the plugin must not use up their deliveries because of it. The new delivery counts only once its
 *   plugin is ready, so a process that is killed while it starts counts against no job.
 * - A job of a plugin that was removed from the config stays in the queue until the plugin is back.
 */
import { Context, Effect, Latch, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import { Hubs } from "../database/Hubs.ts"
import { timestamp } from "../timestamp.ts"
import { Specs } from "../plugins/Specs.ts"
import * as Trace from "../core/Trace.ts"

/** Identifies a job: one plugin on one content of one message. */
export interface JobKey {
  readonly message_id: string
  readonly content_version: number
  readonly plugin_name: string
}

/** A message as it was when the job was taken. */
export interface JobMessage {
  readonly id: string
  readonly content_raw: string
  readonly sender: string
  readonly topic_id: string
  readonly channel_id: string
  readonly created_at: string
  readonly content_version: number
  readonly deleted_at: string | null
}

export interface ClaimedJob extends JobKey {
  /** How often the job was started, this time included. */
  readonly attempts: number
  /** The job started before and never ended. Call `beginAgain` to count this delivery. */
  readonly again: boolean
  /** The W3C trace context of the request that created the job; `null` if it was not traced. */
  readonly traceparent: string | null
  readonly message: JobMessage
}

/** Posts expanded into jobs in one transaction: few enough not to delay other posts. */
const contentsAtOnce = 64

interface Content extends Omit<JobKey, "plugin_name"> {
  readonly plugins_json: string
  readonly created_at: string
  readonly traceparent: string | null
}

type Begun = Omit<JobKey, "plugin_name"> & { readonly attempts: number }

const keyOf = ({ message_id, content_version }: Begun | JobKey): string => `${message_id}/${content_version}`

const jobKeyOf = (job: JobKey): string => `${keyOf(job)}/${job.plugin_name}`

export class JobQueue extends Context.Service<
  JobQueue,
  {
    /** Writes a job for every plugin. Call it inside the transaction that writes the content. */
    readonly offer: (content: Omit<JobKey, "plugin_name">) => Effect.Effect<void, SqlError.SqlError>
    /**
     * Reopens ended jobs and creates missing ones. Call it inside a transaction. Jobs that are already open are left
     * alone, and so are jobs that the same `backfill` has opened before. Returns how many jobs it opened.
     */
    readonly offerAgain: (
      jobs: ReadonlyArray<JobKey>,
      backfill?: string
    ) => Effect.Effect<number, SqlError.SqlError>
    /** Opens after a commit that added jobs. A reader closes it before it reads the queue. */
    readonly arrivals: Latch.Latch
    /** How many offers this process has committed. */
    readonly offered: () => number
    /** Rises with every offer of this process, and when another hub may have added jobs. */
    readonly arrived: () => number
    /**
     * Takes the oldest jobs, at most the wanted number for each plugin. They stay taken until `release`. `more` is
     * true if there are posts that were not yet expanded into jobs.
     */
    readonly take: (
      wanted: ReadonlyMap<string, number>
    ) => Effect.Effect<
      { readonly jobs: ReadonlyArray<ClaimedJob>; readonly more: boolean },
      SqlError.SqlError
    >
    /** Counts a delivery of a job that is `again`. Call it when the plugin is ready to run. */
    readonly beginAgain: (job: JobKey) => Effect.Effect<void, SqlError.SqlError>
    /** Gives back jobs that were not worked on. This delivery is not counted. */
    readonly giveBack: (jobs: ReadonlyArray<ClaimedJob>) => Effect.Effect<void, SqlError.SqlError>
    /** Frees jobs. Those that have not ended can be taken again. */
    readonly release: (jobs: ReadonlyArray<JobKey>) => void
  }
>()("@agentlip/hub/JobQueue") {
  /** When the layer closes, it gives back the jobs that are still taken. */
  static readonly layer: Layer.Layer<JobQueue, never, SqlClient.SqlClient | Hubs | Specs> = Layer.effect(
    JobQueue,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const hubs = yield* Hubs
      const specs = yield* Specs
      const key = { message_id: "text", content_version: "integer" } as const
      const givenIds = Dialect.given(sql, { id: "text" })
      const givenJobs = Dialect.given(sql, { ...key, plugin_name: "text", attempts: "integer" })
      const givenContents = Dialect.given(sql, {
        ...key,
        plugins_json: "text",
        created_at: "text",
        traceparent: "text"
      })
      const arrivals = Latch.makeUnsafe(true)
      const taken = new Map<string, Map<string, ClaimedJob>>()
      const takenOf = (plugin: string): Map<string, ClaimedJob> => {
        const jobs = taken.get(plugin) ?? new Map<string, ClaimedJob>()
        taken.set(plugin, jobs)
        return jobs
      }
      let offered = 0
      let arrived = 0
      // Start with the posts that an earlier process left.
      let more = true

      const arrive = (): void => {
        arrived++
        more = true
        arrivals.openUnsafe()
      }
      hubs.listen("jobs", arrive)
      const told = hubs.tell("jobs")
      const announce = sql.afterCommit(
        Effect.sync(() => {
          offered++
          arrive()
        })
      )

      const offer = Effect.fnUntraced(function* ({
        message_id,
        content_version
      }: Omit<JobKey, "plugin_name">) {
        const plugins = specs.current().map(({ name }) => name)
        if (plugins.length === 0) return
        const created_at = yield* timestamp
        const traceparent = (yield* Trace.current) ?? null
        yield* sql`
            INSERT INTO outbox (message_id, content_version, plugins_json, created_at, traceparent)
            VALUES (${message_id}, ${content_version}, ${JSON.stringify(plugins)}, ${created_at}, ${traceparent})${told}`
        yield* announce
      })

      const toldWhich = hubs.tell("jobs", "message_id")
      const announceAgain = sql.afterCommit(Effect.sync(arrive))
      const offerAgain = Effect.fnUntraced(function* (jobs: ReadonlyArray<JobKey>, backfill?: string) {
        if (jobs.length === 0) return 0
        const created_at = yield* timestamp
        const opened = yield* sql`
          INSERT INTO derivations (message_id, content_version, plugin_name, state, created_at, backfill_id)
          SELECT message_id, content_version, plugin_name, 'pending', ${created_at}, ${backfill ?? null}
          FROM ${givenJobs(jobs)}
          WHERE TRUE ON CONFLICT (message_id, content_version, plugin_name) DO UPDATE
            SET state = 'pending', attempts = 0, error_json = NULL, ended_at = NULL, traceparent = NULL,
              backfill_id = excluded.backfill_id
            WHERE derivations.state <> 'pending'
              AND COALESCE(derivations.backfill_id, '') <> ${backfill ?? "none"}${toldWhich}`
        yield* announceAgain
        return opened.length
      })

      /** Creates the jobs of the oldest posts. Returns true if there may be more posts. */
      const openOldest = Effect.gen(function* () {
        const contents = yield* sql<Content>`
            SELECT message_id, content_version, plugins_json, created_at, traceparent FROM outbox
            ORDER BY message_id, content_version LIMIT ${contentsAtOnce}`
        if (contents.length === 0) return false
        const given = givenContents(contents)
        yield* sql`
              INSERT INTO derivations (message_id, content_version, plugin_name, state, created_at, traceparent)
              SELECT message_id, content_version, element.value, 'pending', created_at, traceparent
              FROM ${given}, ${Dialect.elements(sql, "given.plugins_json")}
              WHERE TRUE ON CONFLICT DO NOTHING`
        yield* sql`
              DELETE FROM outbox WHERE (message_id, content_version) IN
                (SELECT message_id, content_version FROM ${given})`
        return contents.length === contentsAtOnce
      }).pipe(sql.withTransaction)

      // With several hubs, look first: if another hub has already expanded the posts, there is no need to wait for the
      // lock.
      const openJobs = hubs.alone
        ? openOldest
        : Effect.flatMap(sql`SELECT 1 FROM outbox LIMIT 1`, (found) =>
            found.length === 0 ? Effect.succeed(false) : openOldest
          )

      /** The keys of a plugin's next jobs. */
      const next = Effect.fnUntraced(function* (plugin_name: string, count: number) {
        const held = takenOf(plugin_name)
        for (const { again } of held.values()) if (again) return []
        const open = yield* sql<Begun>`
            SELECT message_id, content_version, attempts FROM derivations
            WHERE plugin_name = ${plugin_name} AND state = 'pending'${hubs.free}
            ORDER BY message_id, content_version LIMIT ${held.size + count}`
        const free = open.filter((job) => !held.has(keyOf(job)))
        const again = free.findIndex(({ attempts }) => attempts > 0)
        const some = again === 0 ? free.slice(0, held.size === 0 ? 1 : 0) : free
        return some
          .slice(0, again > 0 ? Math.min(again, count) : count)
          .map((job) => ({ ...job, plugin_name }))
      })

      const nextOf = Effect.fnUntraced(function* (wanted: ReadonlyMap<string, number>) {
        const jobs: Array<Begun & JobKey> = []
        for (const [plugin, count] of wanted) jobs.push(...(yield* next(plugin, count)))
        return jobs
      })

      const begin = Effect.fnUntraced(function* (next: ReadonlyArray<Begun & JobKey>) {
        const before = new Map(next.map((job) => [jobKeyOf(job), job.attempts]))
        const begun = yield* sql<JobKey & Pick<ClaimedJob, "traceparent">>`
            UPDATE derivations SET attempts = CASE attempts WHEN 0 THEN 1 ELSE attempts END${hubs.claim}
            WHERE state = 'pending' AND (message_id, content_version, plugin_name) IN
              (SELECT message_id, content_version, plugin_name FROM ${givenJobs(next)})
            RETURNING message_id, content_version, plugin_name, traceparent`
        const ids = [...new Set(begun.map(({ message_id }) => message_id))]
        const messages = yield* sql<JobMessage>`
            SELECT id, content_raw, sender, topic_id, channel_id, created_at, content_version, deleted_at
            FROM messages WHERE id IN (SELECT id FROM ${givenIds(ids.map((id) => ({ id })))})`
        const byId = new Map(messages.map((message) => [message.id, message]))
        return begun.flatMap((row): ReadonlyArray<ClaimedJob> => {
          const message = byId.get(row.message_id)
          const attempts = before.get(jobKeyOf(row)) ?? 0
          return message === undefined
            ? []
            : [{ ...row, attempts: attempts + 1, again: attempts > 0, message }]
        })
      })

      const take = Effect.fnUntraced(function* (wanted: ReadonlyMap<string, number>) {
        if (more) {
          more = false
          const left = yield* Effect.onError(openJobs, () => Effect.sync(() => (more = true)))
          more ||= left
        }
        const keys = yield* nextOf(wanted)
        if (keys.length === 0) return { jobs: [], more }
        const jobs = yield* hubs.alone
          ? begin(keys)
          : // Select again inside the transaction: its lock keeps other hubs from taking the same jobs.
            sql.withTransaction(Effect.flatMap(nextOf(wanted), begin))
        for (const job of jobs) takenOf(job.plugin_name).set(keyOf(job), job)
        const inOrder = jobs.toSorted((one, other) =>
          one.message_id < other.message_id ? -1 : one.message_id > other.message_id ? 1 : 0
        )
        return { jobs: inOrder, more }
      })

      const beginAgain = ({ message_id, content_version, plugin_name }: JobKey) =>
        Effect.asVoid(sql`
            UPDATE derivations SET attempts = attempts + 1 WHERE message_id = ${message_id}
              AND content_version = ${content_version} AND plugin_name = ${plugin_name}${hubs.mine}`)

      const release = (jobs: ReadonlyArray<JobKey>): void => {
        for (const job of jobs) taken.get(job.plugin_name)?.delete(keyOf(job))
      }

      const giveBack = Effect.fnUntraced(function* (jobs: ReadonlyArray<ClaimedJob>) {
        if (jobs.length === 0) return
        const given = givenJobs(jobs.map((job) => ({ ...job, attempts: job.attempts - 1 })))
        yield* sql`
          UPDATE derivations SET attempts = given.attempts${hubs.giveUp} FROM ${given}
          WHERE state = 'pending'${hubs.mine} AND derivations.message_id = given.message_id
            AND derivations.content_version = given.content_version
            AND derivations.plugin_name = given.plugin_name${told}`
        release(jobs)
      })

      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => giveBack(Array.from(taken.values(), (jobs) => [...jobs.values()]).flat())).pipe(
          // The only loss: these jobs count one delivery too many.
          Effect.catchCause((cause) => Effect.logWarning("jobs could not be given back", cause))
        )
      )

      return JobQueue.of({
        offer,
        offerAgain,
        arrivals,
        offered: () => offered,
        arrived: () => arrived,
        take,
        beginAgain,
        giveBack,
        release
      })
    })
  )
}
