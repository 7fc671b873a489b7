/** The state of every plugin's job on every content of a message; what makes a job's effect happen once. */
import { Array as Arr, Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { timestamp } from "./Ids.ts"
import { type Derivation, DerivationError, type DerivationState } from "./Model.ts"

/** Which job: one plugin on one content of a message. */
export interface JobKey {
  readonly message_id: string
  readonly content_version: number
  readonly plugin_name: string
}

/** The message a job is about, or `undefined` where the job has ended already. */
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

export type End = Exclude<DerivationState, "pending" | "waiting">

interface DerivationRow extends Omit<Derivation, "error"> {
  readonly error_json: string | null
}

const decodeError = Schema.decodeUnknownSync(Schema.fromJsonString(DerivationError))

export class Derivations extends Context.Service<
  Derivations,
  {
    /** Opens the jobs of a message's content; what waits already begins as `waiting`. */
    readonly open: (
      messageId: string,
      contentVersion: number,
      plugins: ReadonlyArray<string>
    ) => Effect.Effect<void, SqlError.SqlError>
    readonly messageOf: (job: JobKey) => Effect.Effect<JobMessage | undefined, SqlError.SqlError>
    /** Ends a job; `false` if it had ended before, and then nothing changes. */
    readonly end: (
      job: JobKey,
      state: End,
      error?: DerivationError
    ) => Effect.Effect<boolean, SqlError.SqlError>
    /** Marks every open job of a plugin, and those that come, until `resume`. */
    readonly wait: (plugin: string, error: DerivationError) => Effect.Effect<void, SqlError.SqlError>
    readonly resume: (plugin: string) => Effect.Effect<void>
    /** Newest content first. */
    readonly list: (messageId: string) => Effect.Effect<ReadonlyArray<Derivation>, SqlError.SqlError>
  }
>()("@agentlip/hub/Derivations") {
  static readonly layer: Layer.Layer<Derivations, never, SqlClient.SqlClient> = Layer.effect(
    Derivations,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const waiting = new Map<string, string>()

      const ofJob = ({ message_id, content_version, plugin_name }: JobKey) =>
        sql.and([
          sql`message_id = ${message_id}`,
          sql`content_version = ${content_version}`,
          sql`plugin_name = ${plugin_name}`
        ])
      const isOpen = sql`state IN ('pending', 'waiting')`

      const open = Effect.fnUntraced(function* (
        message_id: string,
        content_version: number,
        plugins: ReadonlyArray<string>
      ) {
        const created_at = yield* timestamp
        const rows = plugins.map((plugin_name) => {
          const error_json = waiting.get(plugin_name) ?? null
          const state = error_json === null ? "pending" : "waiting"
          return { message_id, content_version, plugin_name, state, error_json, created_at }
        })
        if (Arr.isArrayNonEmpty(rows)) yield* sql`INSERT INTO derivations ${sql.insert(rows)}`
      })

      const messageOf = Effect.fnUntraced(function* (job: JobKey) {
        const [message] = yield* sql<JobMessage>`
          SELECT id, content_raw, sender, topic_id, channel_id, created_at, content_version, deleted_at
          FROM messages
          WHERE id = ${job.message_id} AND EXISTS (SELECT 1 FROM derivations WHERE ${ofJob(job)} AND ${isOpen})`
        return message
      })

      const end = Effect.fnUntraced(function* (job: JobKey, state: End, error?: DerivationError) {
        const ended_at = yield* timestamp
        const error_json = error === undefined ? null : JSON.stringify(error)
        const ended = yield* sql`
          UPDATE derivations SET state = ${state}, error_json = ${error_json}, ended_at = ${ended_at}
          WHERE ${ofJob(job)} AND ${isOpen} RETURNING 1 AS ended`
        return ended.length > 0
      })

      const wait = Effect.fnUntraced(function* (plugin_name: string, error: DerivationError) {
        const error_json = JSON.stringify(error)
        waiting.set(plugin_name, error_json)
        yield* sql`
          UPDATE derivations SET state = 'waiting', error_json = ${error_json}
          WHERE plugin_name = ${plugin_name} AND state = 'pending'`
      })

      const list = Effect.fnUntraced(function* (messageId: string) {
        const rows = yield* sql<DerivationRow>`
          SELECT * FROM derivations WHERE message_id = ${messageId}
          ORDER BY content_version DESC, plugin_name`
        return rows.map(({ error_json, ...row }) => ({
          ...row,
          error: error_json === null ? null : decodeError(error_json)
        }))
      })

      const resume = (plugin: string) => Effect.sync(() => void waiting.delete(plugin))

      return Derivations.of({ open, messageOf, end, wait, resume, list })
    })
  )
}
