/** Commits transactions to a new database, enough for three messages to the thread of checkpoints. */
import { Effect, Layer, Logger } from "effect"
import { SqlClient } from "effect/sql"
import * as Sqlite from "../src/database/Sqlite.ts"

const [, , filename = ""] = process.argv

const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE t (n INTEGER)`
  yield* Effect.replicateEffect(sql.withTransaction(sql`INSERT INTO t VALUES (1)`), 192, { discard: true })
  const [row] = yield* sql<{ n: number }>`SELECT count(*) AS n FROM t`
  yield* Effect.sync(() => process.stdout.write(`${row?.n} committed\n`))
})

const log = Logger.make(({ message }) => void process.stderr.write(`${String(message)}\n`))

const live = Layer.provideMerge(Sqlite.layer({ filename }), Logger.layer([log]))

Effect.runFork(Effect.provide(program, live))
