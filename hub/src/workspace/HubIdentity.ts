/** Identifies this start of the hub and its database. */
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { WriterLock } from "./WriterLock.ts"

/** The values that `/health` and `server.json` share. */
export interface HubIdentity {
  readonly instance_id: string
  readonly db_id: string
  readonly started_at: string
}

export class Identity extends Context.Service<Identity, HubIdentity>()("@agentlip/hub/Identity") {}

/** `instance_id` is the same as in the workspace's lock file. */
export const layer: Layer.Layer<Identity, SqlError.SqlError, SqlClient.SqlClient | WriterLock> = Layer.effect(
  Identity,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const { instance_id, started_at } = yield* WriterLock
    const [row] = yield* sql<{ value: string }>`SELECT value FROM meta WHERE key = 'db_id'`
    if (row === undefined) return yield* Effect.die("the migrations left no db_id")
    return { instance_id, db_id: row.value, started_at }
  })
)
