/** Moves what the log of a SQLite file holds into the file, and empties the log. */
import { Effect, Schedule } from "effect"
import type { SqlClient, SqlError } from "effect/sql"

/**
 * Returns whether the log is empty. It cannot be emptied while others read the file or write to it: waits up to five
 * seconds for them, then leaves the log as it is. Has no effect on PostgreSQL, and returns `true`.
 */
export const emptyLog = (sql: SqlClient.SqlClient): Effect.Effect<boolean, SqlError.SqlError> =>
  sql.onDialectOrElse({
    pg: () => Effect.succeed(true),
    orElse: () =>
      sql.unsafe<{ busy: number }>("PRAGMA wal_checkpoint(TRUNCATE)").pipe(
        Effect.map(([row]) => row?.busy === 0),
        Effect.repeat({
          until: (isEmpty) => isEmpty,
          times: 50,
          schedule: Schedule.spaced("100 millis")
        })
      )
  })
