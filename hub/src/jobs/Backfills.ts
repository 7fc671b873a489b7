/**
 * Runs plugins on old messages again, for example after a plugin was added or improved.
 *
 * **Details**
 *
 * - A backfill walks through the messages, or with `since_event` through the events after it, and opens a job for each
 *   message it meets, on the message's current content. Its position is saved in the transaction that opens the jobs, so
 *   it continues there after a stop.
 * - It opens a few jobs at a time, and none while its plugins have enough to do, so that old messages do not delay new
 *   ones.
 * - As always, new findings replace the old ones when a job ends.
 */
import { Context, Effect, Layer, Struct } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { type Backfill, InvalidInput, type NotFound, notFound } from "@agentlip/protocol"
import * as Dialect from "../database/Dialect.ts"
import { Hubs } from "../database/Hubs.ts"
import { EventLog } from "../core/EventLog.ts"
import { Ids } from "../core/Ids.ts"
import { timestamp } from "../timestamp.ts"
import { Outage } from "../database/Outage.ts"
import { WakeUp } from "../core/WakeUp.ts"
import { type BackfillPosition, makeNextMet } from "./BackfillPosition.ts"
import { JobQueue } from "./JobQueue.ts"
import { JobLists } from "./table/JobLists.ts"
import { Specs } from "../plugins/Specs.ts"

interface Row extends Omit<Backfill, "total" | "done">, BackfillPosition {
  readonly first_event: number
}

export interface Which {
  readonly plugin?: string
  readonly since_event?: number
}

/** Open no more jobs while a plugin has this many open ones. */
const enough = 64

/** Pause between two looks at the running backfills. */
const rest = "100 millis"
const restAfterFailure = "1 second"

const toBackfill = ({ first_event, last_event, at_event, ...row }: Row): Backfill => ({
  ...Struct.omit(row, ["at_message"]),
  total: last_event - first_event,
  done: at_event - first_event
})

export class Backfills extends Context.Service<
  Backfills,
  {
    /** Newest first, at most 100. */
    readonly list: Effect.Effect<ReadonlyArray<Backfill>, SqlError.SqlError>
    readonly get: (id: string) => Effect.Effect<Backfill, NotFound | SqlError.SqlError>
    /**
     * Continues an unfinished backfill with the same plugin and start if there is one. Fails with `InvalidInput` if
     * events that it would have to read were pruned.
     */
    readonly begin: (
      which: Which
    ) => Effect.Effect<
      { readonly backfill: Backfill; readonly resumed: boolean },
      InvalidInput | NotFound | SqlError.SqlError
    >
    /** Has no effect on a backfill that is done. */
    readonly pause: (id: string) => Effect.Effect<Backfill, NotFound | SqlError.SqlError>
  }
>()("@agentlip/hub/Backfills") {
  /** Works on unfinished backfills until its scope closes. */
  static readonly layer: Layer.Layer<
    Backfills,
    never,
    SqlClient.SqlClient | EventLog | Hubs | Ids | JobQueue | Specs
  > = Layer.effect(
    Backfills,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const ids = yield* Ids
      const log = yield* EventLog
      const queue = yield* JobQueue
      const specs = yield* Specs
      const lists = yield* JobLists
      const work = new WakeUp()
      // A backfill that another hub started continues here too, even after that hub has stopped.
      const hubs = yield* Hubs
      hubs.listen("jobs", work.ring)
      const givenIds = Dialect.given(sql, { id: "text" })
      const nextMet = makeNextMet(sql)

      const row = Effect.fnUntraced(function* (id: string) {
        const [found] = yield* sql<Row>`SELECT * FROM backfills WHERE id = ${id}`
        return found ?? (yield* notFound("backfill", id))
      })
      const get = (id: string) => Effect.map(row(id), toBackfill)
      const list = Effect.map(sql<Row>`SELECT * FROM backfills ORDER BY id DESC LIMIT 100`, (rows) =>
        rows.map(toBackfill)
      )

      const unfinished = ({ plugin = null, since_event = null }: { [K in keyof Which]?: Which[K] | null }) =>
        sql<Row>`
            SELECT * FROM backfills WHERE state <> 'done'
              AND COALESCE(plugin_name, '') = ${plugin ?? ""} AND COALESCE(since_event, -1) = ${since_event ?? -1}
            ORDER BY id DESC LIMIT 1`

      const messageCount = Effect.map(
        sql<{ n: number | string }>`SELECT count(*) AS n FROM messages`,
        ([row]) => Number(row?.n ?? 0)
      )

      const requireEvents = Effect.fnUntraced(function* (after: number) {
        const pruned = yield* log.prunedUntil
        if (after >= pruned) return
        return yield* new InvalidInput({
          error: `The events up to ${pruned} were pruned, so it is unknown which messages changed after event ${after}. Pass a later event, or none to run on all messages`
        })
      })

      const begin = Effect.fnUntraced(function* (which: Which) {
        const { plugin, since_event } = which
        if (plugin !== undefined && !specs.current().some(({ name }) => name === plugin)) {
          return yield* notFound("configured plugin", plugin)
        }
        const [known] = yield* unfinished(which)
        if (since_event !== undefined) yield* requireEvents(known?.at_event ?? since_event)
        if (known !== undefined) {
          yield* sql`UPDATE backfills SET state = 'running' WHERE id = ${known.id}`
          return { backfill: yield* get(known.id), resumed: true }
        }
        const last_event = yield* since_event === undefined ? messageCount : log.newest
        const first_event = Math.min(since_event ?? 0, last_event)
        const made: Row = {
          id: yield* ids.next,
          plugin_name: plugin ?? null,
          since_event: since_event ?? null,
          state: "running",
          first_event,
          last_event,
          at_event: first_event,
          at_message: since_event === undefined ? "" : null,
          jobs: 0,
          created_at: yield* timestamp,
          ended_at: null
        }
        yield* sql`INSERT INTO backfills ${sql.insert({ ...made })}`
        return { backfill: toBackfill(made), resumed: false }
      }, sql.withTransaction)

      const pause = Effect.fnUntraced(function* (id: string) {
        yield* sql`UPDATE backfills SET state = 'paused' WHERE id = ${id} AND state = 'running'`
        return yield* get(id)
      }, sql.withTransaction)

      const pluginsOf = ({ plugin_name }: Row): ReadonlyArray<string> =>
        plugin_name === null ? specs.current().map(({ name }) => name) : [plugin_name]

      /** The number of open jobs of the busiest plugin, counted up to `enough`. */
      const open = Effect.fnUntraced(function* (plugins: ReadonlyArray<string>) {
        let most = 0
        for (const plugin of plugins) {
          most = Math.max(most, yield* lists.countSome(plugin, enough))
        }
        return most
      })

      /** Opens the next jobs of a backfill and saves its position. */
      const step = (id: string) =>
        Effect.gen(function* () {
          const backfill = yield* row(id)
          if (backfill.state !== "running") return
          const { met, at_event, at_message } = yield* nextMet(backfill)
          const messages = yield* sql<{ message_id: string; content_version: number }>`
              SELECT id AS message_id, content_version FROM messages
              WHERE deleted_at IS NULL AND id IN (SELECT id FROM ${givenIds(met)})`
          const jobs = pluginsOf(backfill).flatMap((plugin_name) =>
            messages.map((message) => ({ ...message, plugin_name }))
          )
          const given = yield* queue.offerAgain(jobs, yield* timestamp, id)
          yield* sql`
              UPDATE backfills SET at_event = ${at_event}, at_message = ${at_message}, jobs = jobs + ${given}
              WHERE id = ${id}`
        }).pipe(sql.withTransaction)

      /** Marks a backfill as done once all its jobs have ended. */
      const finish = Effect.fnUntraced(function* (id: string) {
        if (yield* lists.hasOpenOf(id)) return
        const ended_at = yield* timestamp
        yield* sql`
            UPDATE backfills SET state = 'done', ended_at = ${ended_at}
            WHERE id = ${id} AND state = 'running'`
      })

      /** Advances every running backfill. Returns false if none is running. */
      const turn = Effect.gen(function* () {
        const running = yield* sql<Row>`SELECT * FROM backfills WHERE state = 'running' ORDER BY id`
        for (const backfill of running) {
          if (backfill.at_event < backfill.last_event) {
            if ((yield* open(pluginsOf(backfill))) < enough) yield* step(backfill.id)
          } else yield* finish(backfill.id)
        }
        return running.length > 0
      })

      const outage = new Outage({ begun: "backfills are interrupted", ended: "backfills go on" })
      const workOn = Effect.gen(function* () {
        while (yield* turn) {
          yield* outage.over
          yield* Effect.sleep(rest)
        }
        yield* outage.over
        yield* work.next
      })
      yield* workOn.pipe(
        Effect.catchCause((cause) => Effect.andThen(outage.log(cause), Effect.sleep(restAfterFailure))),
        Effect.forever,
        Effect.forkScoped
      )

      return Backfills.of({
        list,
        get,
        begin: (which) => Effect.tap(begin(which), () => Effect.sync(work.ring)),
        pause
      })
    })
  ).pipe(Layer.provide(JobLists.layer))
}
