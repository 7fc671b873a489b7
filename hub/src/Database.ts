/** The hub's database, with its tables: a SQLite file in the workspace, or one on PostgreSQL that hubs share. */
import { Effect, Layer, type Redacted } from "effect"
import { Hubs } from "./Hubs.ts"
import * as Migrations from "./Migrations.ts"
import * as Postgres from "./Postgres.ts"
import * as Sqlite from "./Sqlite.ts"
import { Workspace } from "./Workspace.ts"

/** A SQLite file that this process alone has. */
export const sqlite = (filename: string) =>
  Hubs.alone.pipe(Layer.provideMerge(Migrations.layer), Layer.provideMerge(Sqlite.layer({ filename })))

/** A database on PostgreSQL, by its URL. */
export const postgres = (url: Redacted.Redacted) =>
  Hubs.sharing().pipe(Layer.provideMerge(Migrations.layer), Layer.provideMerge(Postgres.layer({ url })))

/** What `url` names, or the file of the workspace. */
export const layer = (url: Redacted.Redacted | undefined) =>
  url === undefined ? Layer.unwrap(Effect.map(Workspace, ({ database }) => sqlite(database))) : postgres(url)
