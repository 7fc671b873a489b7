/** Which start of the hub this is, and which database it has. */
import { Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { Identity } from "./Api.ts"
import { WriterLock } from "./WriterLock.ts"

/** The instance is the one that the workspace's lock names. */
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
