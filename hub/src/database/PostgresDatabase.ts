/** A PostgreSQL database with the hub's tables, which several hubs can share. */
import { Effect, Layer, type Redacted } from "effect"
import * as DatabaseServer from "./DatabaseServer.ts"
import * as Migrations from "./Migrations.ts"
import * as Postgres from "./Postgres.ts"
import * as SharedHubs from "./SharedHubs.ts"

/** Connects to the database at `url`, brings its tables up to date and joins the hubs that share it. */
export const layer = (url: Redacted.Redacted) => {
  const tables = Effect.mapError(Migrations.migrate, (error) => DatabaseServer.unusable(url, error))
  return SharedHubs.layer.pipe(
    Layer.provideMerge(Layer.effectDiscard(tables)),
    Layer.provideMerge(Postgres.layer({ url }))
  )
}
