/** What became of every plugin's job on every content of a message, for those who ask. */
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import { type Derivation, DerivationError, type DerivationState } from "@agentlip/protocol"

/** How a job ends. */
export type End = Exclude<DerivationState, "pending" | "waiting">

/** As it is in the database. */
export interface DerivationRow extends Omit<Derivation, "error"> {
  readonly error_json: string | null
}

const decodeError = Schema.decodeUnknownSync(Schema.fromJsonString(DerivationError))

export class Derivations extends Context.Service<
  Derivations,
  {
    /** Shows every open job of a plugin, and those that come, as `waiting` until `resume`. */
    readonly wait: (plugin: string, error: DerivationError) => void
    readonly resume: (plugin: string) => void
    /** A row as clients see it. */
    readonly toDerivation: (row: DerivationRow) => Derivation
    /** Newest content first. */
    readonly list: (messageId: string) => Effect.Effect<ReadonlyArray<Derivation>, SqlError.SqlError>
  }
>()("@agentlip/hub/Derivations") {
  static readonly layer: Layer.Layer<Derivations, never, SqlClient.SqlClient> = Layer.effect(
    Derivations,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const plugins = Dialect.elements(sql, "plugins_json")
      // Of this process, as its breakers are: a breaker that opens need not touch every job that is open.
      const waiting = new Map<string, DerivationError>()

      const toDerivation = ({ error_json, ...row }: DerivationRow): Derivation => {
        const error = row.state === "pending" ? waiting.get(row.plugin_name) : undefined
        return error === undefined
          ? { ...row, error: error_json === null ? null : decodeError(error_json) }
          : { ...row, state: "waiting", error }
      }

      const list = (messageId: string) =>
        Effect.map(
          sql<DerivationRow>`
            SELECT message_id, content_version, plugin_name, state, error_json, created_at, ended_at
            FROM derivations WHERE message_id = ${messageId}
            UNION ALL
            SELECT message_id, content_version, value, 'pending', NULL, created_at, NULL
            FROM outbox, ${plugins} WHERE message_id = ${messageId}
            ORDER BY content_version DESC, plugin_name`,
          (rows) => rows.map(toDerivation)
        )

      return Derivations.of({
        wait: (plugin, error) => void waiting.set(plugin, error),
        resume: (plugin) => void waiting.delete(plugin),
        toDerivation,
        list
      })
    })
  )
}
