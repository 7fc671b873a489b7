/** Moves what the log of a SQLite file holds into the file, and empties the log. */
import { Effect, Schedule } from "effect"
import type { SqlClient, SqlError } from "effect/sql"

/**
 * Waits up to five seconds for others that read the file or move pages of the log: the log cannot be emptied meanwhile.
 * Leaves the log as it is after that. Has no effect on PostgreSQL.
 */
export const emptyLog = (sql: SqlClient.SqlClient): Effect.Effect<void, SqlError.SqlError> =>
  sql.onDialectOrElse({
    pg: () => Effect.void,
    orElse: () =>
      sql.unsafe<{ busy: number }>("PRAGMA wal_checkpoint(TRUNCATE)").pipe(
        Effect.repeat({
          until: ([row]) => row?.busy === 0,
          times: 50,
          schedule: Schedule.spaced("100 millis")
        }),
        Effect.asVoid
      )
  })
