/**
 * The jobs of messages: written in the transaction of the message, delivered to its plugins at least once.
 *
 * **Details**
 *
 * - A post writes one short row, which names all plugins; the jobs are made of it when they are read, those of
 *   many posts at once. From then on a job is its row in `derivations` for as long as that is `pending`, so
 *   that the transaction which commits what a plugin found is the one that ends its job.
 * - Who works on a job is known to this process only where it is the one that has the database: after a crash
 *   every open job is there to be taken at once. Where others have it too, it says so in the job's row.
 * - A job that was begun before and never ended is delivered alone. It may be what takes the process down,
 *   and the others of its plugin are not to be counted out with it. It counts as begun again when its plugin is
 *   ready for it, not before: a process that is killed while it starts says nothing about its jobs.
 * - A job of a plugin that is no longer in the config stays where it is until the plugin is back.
 */
import { Context, Effect, Latch, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import { Hubs } from "../database/Hubs.ts"
import { timestamp } from "../timestamp.ts"
import { Specs } from "../plugins/Specs.ts"
import * as Trace from "../core/Trace.ts"

/** Which job: one plugin on one content of a message. */
export interface JobKey {
  readonly message_id: string
  readonly content_version: number
  readonly plugin_name: string
}

/** A message as it was when a job was taken. */
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

export interface Job extends JobKey {
  /** How often it was begun, this time included. */
  readonly attempts: number
  /** Begun before, and it never ended: `beginAgain` counts this time. */
  readonly again: boolean
  /** The W3C trace context of the request that brought the job; `null` where nothing was traced. */
  readonly traceparent: string | null
  readonly message: JobMessage
}

/** Posts that are looked at together; few enough to keep nobody who posts waiting. */
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
    /** Writes a job for every plugin; call it inside the transaction that writes the content. */
    readonly offer: (content: Omit<JobKey, "plugin_name">) => Effect.Effect<void, SqlError.SqlError>
    /**
     * Has jobs done that are not open, again or for the first time; call it inside a transaction. A backfill has each
     * done once. Answers how many are open now that were not.
     */
    readonly offerAgain: (
      jobs: ReadonlyArray<JobKey>,
      backfill?: string
    ) => Effect.Effect<number, SqlError.SqlError>
    /** Open after a commit that brought jobs; whoever looks for them closes it first. */
    readonly arrivals: Latch.Latch
    /** How many offers this process has committed. */
    readonly offered: () => number
    /** Rises with every offer of this process, and whenever another hub may have brought jobs. */
    readonly arrived: () => number
    /**
     * Begins jobs, at most so many of each plugin, oldest first; they stay taken until `release`. `more` says
     * that there are posts whose jobs have not been looked at.
     */
    readonly take: (
      wanted: ReadonlyMap<string, number>
    ) => Effect.Effect<{ readonly jobs: ReadonlyArray<Job>; readonly more: boolean }, SqlError.SqlError>
    /** Counts a job that is `again`; call it when nothing but its plugin is left to wait for. */
    readonly beginAgain: (job: JobKey) => Effect.Effect<void, SqlError.SqlError>
    /** Lets go of jobs that nothing was done for: they count as never begun. */
    readonly giveBack: (jobs: ReadonlyArray<Job>) => Effect.Effect<void, SqlError.SqlError>
    /** Lets go of jobs: those that have not ended can be taken again. */
    readonly release: (jobs: ReadonlyArray<JobKey>) => void
  }
>()("@agentlip/hub/JobQueue") {
  /** When it closes, jobs that are still taken count as never begun. */
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
      const taken = new Map<string, Map<string, Job>>()
      const takenOf = (plugin: string): Map<string, Job> => {
        const jobs = taken.get(plugin) ?? new Map<string, Job>()
        taken.set(plugin, jobs)
        return jobs
      }
      let offered = 0
      let arrived = 0
      // Those of an earlier start come first.
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

      /** Makes jobs of the oldest posts; answers whether there may be others. */
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

      // Whoever is told of posts that another hub has seen to is not to wait for the lock.
      const openJobs = hubs.alone
        ? openOldest
        : Effect.flatMap(sql`SELECT 1 FROM outbox LIMIT 1`, (found) =>
            found.length === 0 ? Effect.succeed(false) : openOldest
          )

      /** Keys of a plugin's next jobs. */
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
        const begun = yield* sql<JobKey & Pick<Job, "traceparent">>`
            UPDATE derivations SET attempts = CASE attempts WHEN 0 THEN 1 ELSE attempts END${hubs.claim}
            WHERE state = 'pending' AND (message_id, content_version, plugin_name) IN
              (SELECT message_id, content_version, plugin_name FROM ${givenJobs(next)})
            RETURNING message_id, content_version, plugin_name, traceparent`
        const ids = [...new Set(begun.map(({ message_id }) => message_id))]
        const messages = yield* sql<JobMessage>`
            SELECT id, content_raw, sender, topic_id, channel_id, created_at, content_version, deleted_at
            FROM messages WHERE id IN (SELECT id FROM ${givenIds(ids.map((id) => ({ id })))})`
        const byId = new Map(messages.map((message) => [message.id, message]))
        return begun.flatMap((row): ReadonlyArray<Job> => {
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
          : // Looked for once more, where no other hub can take them.
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

      const giveBack = Effect.fnUntraced(function* (jobs: ReadonlyArray<Job>) {
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
          // All that is lost is that they count as begun once more.
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
