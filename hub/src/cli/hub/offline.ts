/** Calls the reads of the API on a workspace's database, in this process. Loaded only when no hub runs. */
import { Context, Effect, Layer, type Redacted } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import { EventLog } from "../../core/EventLog.ts"
import { Ids } from "../../core/Ids.ts"
import { JsonText } from "../../core/JsonText.ts"
import { Hubs } from "../../database/Hubs.ts"
import * as OfflineDatabase from "../../database/OfflineDatabase.ts"
import { summaryOf } from "../../database/Summary.ts"
import { Findings } from "../../jobs/Findings.ts"
import { JobQueue } from "../../jobs/JobQueue.ts"
import { Jobs } from "../../jobs/Jobs.ts"
import { PausedPlugins } from "../../jobs/PausedPlugins.ts"
import { Attachments } from "../../messages/Attachments.ts"
import { Messages } from "../../messages/Messages.ts"
import { makeReads } from "../../messages/Reads.ts"
import { Topics } from "../../messages/Topics.ts"
import { Erasures } from "../../retention/Erasures.ts"
import { indexOf } from "../../search/progress.ts"
import { search } from "../../search/search.ts"
import { commandFor } from "../calledAs.ts"
import { fromError } from "../CommandError.ts"
import { toCommandError } from "./HubClient.ts"
import type { OfflineReader, Reads } from "./HubReader.ts"

/** No job is written. */
const queue = Layer.mock(JobQueue, {
  onArrival: () => {},
  precedence: { posts: () => 0, areFarAhead: () => false, jobsWait: () => {} },
  release: () => {},
  ended: () => {}
})

/** No message is erased. */
const erasures = Layer.mock(Erasures, {})

/** The services of a hub that its reads need. Their writes are not called; the database would reject them. */
const services = Layer.mergeAll(Messages.layer, Attachments.layer, Jobs.layer).pipe(
  Layer.provideMerge(Topics.layer),
  Layer.provideMerge(Layer.mergeAll(Findings.layer, queue, erasures, PausedPlugins.layer)),
  Layer.provideMerge(Layer.mergeAll(EventLog.layer, Ids.layer)),
  Layer.provideMerge(Hubs.alone)
)

const isSqlError = (error: unknown): error is SqlError.SqlError => error instanceof SqlError.SqlError

type Call = (request: unknown) => Effect.Effect<unknown, unknown>

/** What a client would get from the response. */
const decoded =
  (call: Call): Call =>
  (request) =>
    Effect.map(call(request), (found): unknown =>
      found instanceof JsonText ? JSON.parse(found.text) : found
    )

const readerOf = Effect.fnUntraced(function* (workspace: string, database: OfflineDatabase.OfflineDatabase) {
  const context = yield* Effect.mapError(
    Layer.build(Layer.provideMerge(services, database.client)),
    (error) => (isSqlError(error) ? database.explain(error) : error)
  )
  const calls = yield* Effect.provideContext(makeReads, context)
  const reads = Object.fromEntries(
    Object.entries(calls).map(([name, call]) => [name, decoded(call as Call)])
    // The same calls, with the types that a client sees.
  ) as unknown as Reads
  const sql = Context.get(context, SqlClient.SqlClient)
  const toError = toCommandError(workspace)
  const checked = <A>(read: Effect.Effect<A, unknown>) =>
    read.pipe(
      Effect.mapError((error) => (isSqlError(error) ? fromError(database.explain(error)) : toError(error))),
      Effect.tap(() => Effect.mapError(database.verify, fromError))
    )
  const found: OfflineReader = {
    workspace,
    ask: (question) => checked(question({ reads, search: { search: ({ query }) => search(sql, query) } })),
    summary: checked(Effect.provideContext(summaryOf, context)),
    searchIndex: checked(indexOf(sql))
  }
  return found
})

/** Reads a SQLite file, until the scope closes; `undefined` if it is missing. */
export const readFile = Effect.fnUntraced(function* (workspace: string, file: string) {
  if (!(yield* OfflineDatabase.exists(file))) return undefined
  return yield* readerOf(workspace, yield* OfflineDatabase.sqlite(file))
}, Effect.mapError(fromError))

/** Reads a PostgreSQL database, until the scope closes. */
export const readPostgres = Effect.fnUntraced(function* (workspace: string, url: Redacted.Redacted) {
  const up = commandFor(workspace, "up --database URL")
  return yield* readerOf(workspace, yield* OfflineDatabase.postgres(url, up))
}, Effect.mapError(fromError))
