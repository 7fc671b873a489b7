/**
 * The queue of jobs. A job is written in the transaction of its message and delivered at least once. JobTable.ts has
 * its statements.
 *
 * **Details**
 *
 * - A claimed job stays claimed until `ended`, `giveBack` or `release`. This process remembers which jobs those are.
 * - A job that started before and never ended is delivered alone: it may be the one that crashes the process, and
 *   other jobs of the plugin must not use up their deliveries because of it. The new delivery counts only once its
 *   plugin is ready, so a process that is killed while it starts counts against no job.
 * - A job of a plugin that was removed from the config stays in the queue until the plugin is back.
 */
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { Hubs } from "../database/Hubs.ts"
import { Specs } from "../plugins/Specs.ts"
import { Backlog, maxAhead } from "./Backlog.ts"
import { type ClaimedJob, jobKeyOf, type JobKey, type PostedContent } from "./Job.ts"
import * as Leases from "./Leases.ts"
import type { Posts } from "./Precedence.ts"
import { JobTable, type OpenJob, postsAtOnce } from "./table/JobTable.ts"

export class JobQueue extends Context.Service<
  JobQueue,
  {
    /** Writes a job of each content for every plugin. Call it inside the transaction that writes the contents. */
    readonly offer: (
      contents: ReadonlyArray<PostedContent>,
      created_at: string
    ) => Effect.Effect<void, SqlError.SqlError>
    /**
     * Reopens ended jobs and creates missing ones. Call it inside a transaction. Jobs that are already open are left
     * alone, and so are jobs that the same `backfill` has opened before. Returns how many jobs it opened.
     */
    readonly offerAgain: (
      jobs: ReadonlyArray<JobKey>,
      created_at: string,
      backfill?: string
    ) => Effect.Effect<number, SqlError.SqlError>
    /** Calls `arrived` after each commit that added jobs, and when another hub may have added some. */
    readonly onArrival: (arrived: () => void) => void
    /** Waits while posts are far ahead of plugins that only lack the host's time. For one caller. See Backlog.ts. */
    readonly room: Effect.Effect<void>
    /** What Precedence.ts needs to know of the posts and edits with jobs that this process commits. */
    readonly precedence: Posts
    /**
     * Claims the oldest jobs, at most the wanted number for each plugin. `more` is true if there are posts that were
     * not yet expanded into jobs.
     */
    readonly take: (
      wanted: ReadonlyMap<string, number>
    ) => Effect.Effect<
      { readonly jobs: ReadonlyArray<ClaimedJob>; readonly more: boolean },
      SqlError.SqlError
    >
    /** Counts a delivery of a job that is `again`. Call it when the plugin is ready to run. */
    readonly countDelivery: (job: JobKey) => Effect.Effect<void, SqlError.SqlError>
    /** Gives back jobs that were not worked on. This delivery is not counted. */
    readonly giveBack: (jobs: ReadonlyArray<ClaimedJob>) => Effect.Effect<void, SqlError.SqlError>
    /** Removes the errors of a deleted message's jobs, because they may quote it. */
    readonly forgetErrors: (messageId: string) => Effect.Effect<void, SqlError.SqlError>
    /** Forgets a claimed job that has ended. */
    readonly ended: (job: JobKey) => void
    /** Frees jobs that have not ended: they can be claimed again. This delivery counts. */
    readonly release: (jobs: ReadonlyArray<JobKey>) => void
  }
>()("@agentlip/hub/JobQueue") {
  /** When the layer closes, it gives back the jobs that are still claimed. */
  static readonly layer: Layer.Layer<JobQueue, SqlError.SqlError, SqlClient.SqlClient | Hubs | Specs> =
    Layer.effect(
      JobQueue,
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const hubs = yield* Hubs
        const specs = yield* Specs
        const table = yield* JobTable
        const claimed = new Map<string, Map<string, ClaimedJob>>()
        const claimedOf = (plugin: string): Map<string, ClaimedJob> => {
          const jobs = claimed.get(plugin) ?? new Map<string, ClaimedJob>()
          claimed.set(plugin, jobs)
          return jobs
        }
        const isClaimed = (job: JobKey): boolean => claimed.get(job.plugin_name)?.has(jobKeyOf(job)) === true
        /** Claimed jobs that were offered again: `ended` may come only after that, and hides them until then. */
        const offeredAgain = new Set<string>()
        const listeners: Array<() => void> = []
        const backlog = new Backlog()
        let posts = 0
        // Start with the posts that an earlier process left.
        let more = true
        const isAlone = hubs.id === undefined
        /** Plugins without a free job in the table. If there are other hubs, this is never known. */
        const drained = new Set<string>()

        const arrive = (): void => {
          more = true
          drained.clear()
          for (const arrived of listeners) arrived()
        }
        hubs.listen("jobs", arrive)

        const offer = Effect.fnUntraced(function* (
          contents: ReadonlyArray<PostedContent>,
          created_at: string
        ) {
          const plugins = specs.current().map(({ name }) => name)
          if (plugins.length === 0 || contents.length === 0) return
          yield* table.post(contents, plugins, created_at)
          yield* sql.afterCommit(
            Effect.sync(() => {
              posts += contents.length
              backlog.posted(contents.length)
              more = true
              for (const arrived of listeners) arrived()
            })
          )
        })

        const offerAgain = Effect.fnUntraced(function* (
          jobs: ReadonlyArray<JobKey>,
          created_at: string,
          backfill?: string
        ) {
          if (jobs.length === 0) return 0
          const opened = yield* table.reopen(jobs, created_at, backfill)
          yield* sql.afterCommit(
            Effect.sync(() => {
              for (const job of jobs) if (isClaimed(job)) offeredAgain.add(jobKeyOf(job))
              arrive()
            })
          )
          return opened
        })

        /** The next jobs of a plugin that can be delivered. `all`: it has no other free job. */
        const next = Effect.fnUntraced(function* (plugin: string, count: number) {
          const held = claimedOf(plugin)
          for (const { again } of held.values()) if (again) return { jobs: [], all: false }
          const open = yield* table.oldest(plugin, held.size + count)
          const free = open.filter((job) => !held.has(jobKeyOf(job)))
          const again = free.findIndex(({ attempts }) => attempts > 0)
          if (again === 0) return { jobs: free.slice(0, held.size === 0 ? 1 : 0), all: false }
          const jobs = free.slice(0, again > 0 ? Math.min(again, count) : count)
          return { jobs, all: open.length < held.size + count && jobs.length === free.length }
        })

        const nextOf = Effect.fnUntraced(function* (wanted: ReadonlyMap<string, number>) {
          const open: Array<OpenJob> = []
          for (const [plugin, count] of wanted) {
            if (drained.has(plugin)) continue
            // Set this before the table is read: a job that is freed meanwhile resets it.
            if (isAlone) drained.add(plugin)
            const { jobs, all } = yield* next(plugin, count)
            if (!all) drained.delete(plugin)
            open.push(...jobs)
          }
          return open
        })

        /** Claims jobs, and expands posts first if there are too few: the number of the others says how far plugins are behind. */
        const claim = Effect.fnUntraced(function* (wanted: ReadonlyMap<string, number>) {
          let open = yield* nextOf(wanted)
          let expanded: number | undefined
          if (more && open.length < wanted.values().reduce((sum, count) => sum + count, 0)) {
            more = false
            expanded = yield* table.expand
            if (expanded > 0 || !isAlone) {
              drained.clear()
              open = yield* nextOf(wanted)
            }
          }
          if (open.length === 0) return { jobs: [], expanded }
          const jobs = yield* isAlone
            ? table.claim(open)
            : // Select again inside the transaction: its lock keeps other hubs from claiming the same jobs.
              sql.withTransaction(Effect.flatMap(nextOf(wanted), table.claim))
          return { jobs, expanded }
        })

        const take = Effect.fnUntraced(function* (wanted: ReadonlyMap<string, number>) {
          if (!more && wanted.keys().every((plugin) => drained.has(plugin))) return { jobs: [], more }
          if (!isAlone && backlog.isWorthACount) backlog.counted(yield* table.countPosts(maxAhead))
          const { jobs, expanded } = yield* Effect.onError(
            isAlone ? sql.withTransaction(claim(wanted)) : claim(wanted),
            () =>
              Effect.sync(() => {
                more = true
                drained.clear()
              })
          )
          if (expanded !== undefined) {
            more ||= expanded === postsAtOnce
            backlog.expanded(expanded, !more, expanded < postsAtOnce)
          }
          for (const job of jobs) claimedOf(job.plugin_name).set(jobKeyOf(job), job)
          const inOrder = jobs.toSorted((one, other) =>
            one.message_id < other.message_id ? -1 : one.message_id > other.message_id ? 1 : 0
          )
          return { jobs: inOrder, more }
        })

        const ended = (job: JobKey): void => {
          const key = jobKeyOf(job)
          claimed.get(job.plugin_name)?.delete(key)
          if (offeredAgain.delete(key)) arrive()
        }

        const release = (jobs: ReadonlyArray<JobKey>): void => {
          for (const job of jobs) {
            ended(job)
            drained.delete(job.plugin_name)
          }
        }

        const giveBack = (jobs: ReadonlyArray<ClaimedJob>) =>
          jobs.length === 0
            ? Effect.void
            : Effect.tap(table.giveBack(jobs), () => Effect.sync(() => release(jobs)))

        yield* Effect.addFinalizer(() =>
          Effect.suspend(() => giveBack([...claimed.values()].flatMap((jobs) => [...jobs.values()]))).pipe(
            // The only loss: these jobs count one delivery too many.
            Effect.catchCause((cause) => Effect.logWarning("jobs could not be given back", cause))
          )
        )

        return JobQueue.of({
          offer,
          offerAgain,
          onArrival: (arrived) => void listeners.push(arrived),
          precedence: {
            posts: () => posts,
            areFarAhead: () => backlog.isHigh,
            jobsWait: (waiting) => backlog.pluginsWait(waiting)
          },
          room: backlog.room,
          take,
          countDelivery: table.countDelivery,
          forgetErrors: table.forgetErrors,
          giveBack,
          ended,
          release
        })
      })
    ).pipe(Layer.provide(Leases.layer), Layer.provide(JobTable.layer))
}
