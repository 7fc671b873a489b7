/** Reads the table of messages, on any database that Effect has a client for. */
import { Effect, Schema } from "effect"
import type { SqlClient, SqlError } from "effect/sql"

/** The table of messages. Names are quoted; a dot separates schema and table. */
export interface StalenessOptions {
  /** Default `"messages"`. */
  readonly table?: string
  /** A column of texts or integers. Other values, such as bytes, are a defect. Default `"id"`. */
  readonly id?: string
  /** A text column. Any other value in it is `ContentNotText`. Default `"content_raw"`. */
  readonly content?: string
  /** Null while the message is not deleted. Default `"deleted_at"`. */
  readonly deletedAt?: string
}

const Row = Schema.Struct({
  id: Schema.Union([Schema.String, Schema.Number, Schema.BigInt]),
  content: Schema.Unknown,
  deleted: Schema.Unknown
})
const decodeRow = Schema.decodeUnknownEffect(Row)

export type MessageRow = typeof Row.Type

export interface MessageTable {
  /** Table and column of the content, for errors. */
  readonly contentColumn: string
  readonly read: (messageId: string) => Effect.Effect<MessageRow | undefined, SqlError.SqlError>
  /** Locks what it reads until the end of the transaction. */
  readonly readLocked: (messageId: string) => Effect.Effect<MessageRow | undefined, SqlError.SqlError>
  /** The same for many messages: their rows by id. */
  readonly readAllLocked: (
    messageIds: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, MessageRow>, SqlError.SqlError>
}

/** Messages read by one statement. */
const idsAtOnce = 256

/** Repeats the last id up to a power of two, so that groups of all sizes share a few statement texts. */
const padded = (ids: ReadonlyArray<string>): ReadonlyArray<string> => {
  const length = 2 ** Math.ceil(Math.log2(ids.length))
  return Array.from({ length }, (_, at) => ids[Math.min(at, ids.length - 1)] ?? "")
}

export const makeMessageTable = (
  sql: SqlClient.SqlClient,
  {
    table: tableName = "messages",
    id: idName = "id",
    content: contentName = "content_raw",
    deletedAt = "deleted_at"
  }: StalenessOptions
): MessageTable => {
  const table = sql(tableName)
  const id = sql(idName)
  const content = sql(contentName)

  // A write that touches no row takes SQLite's write lock, whatever BEGIN the client uses.
  const lockDatabase = sql.onDialectOrElse({
    sqlite: () => Effect.asVoid(sql`UPDATE ${table} SET ${content} = ${content} WHERE 1 = 0`),
    orElse: () => Effect.void
  })
  const noLock = sql.literal("")
  // Always in the same order, so that two groups never wait for each other's rows.
  const lockRows = sql.onDialectOrElse({
    sqlite: () => noLock,
    orElse: () => sql`ORDER BY ${id} FOR UPDATE`
  })

  const select = Effect.fnUntraced(function* (ids: ReadonlyArray<string>, lock: typeof lockRows) {
    const rows = yield* sql<MessageRow>`
      SELECT ${id} AS id, ${content} AS content, ${sql(deletedAt)} AS deleted FROM ${table}
      WHERE ${sql.in(idName, ids)} ${lock}`
    // The statement names the columns. Rows without them are a client's defect, and all rows have the same columns.
    const [first] = rows
    if (first !== undefined) yield* Effect.orDie(decodeRow(first))
    return rows
  })

  return {
    contentColumn: `${tableName}.${contentName}`,
    read: (messageId) => Effect.map(select([messageId], noLock), ([row]) => row),
    readLocked: (messageId) =>
      Effect.map(Effect.andThen(lockDatabase, select([messageId], lockRows)), ([row]) => row),
    readAllLocked: Effect.fnUntraced(function* (messageIds) {
      yield* lockDatabase
      const ids = [...new Set(messageIds)].sort()
      const rows = new Map<string, MessageRow>()
      for (let at = 0; at < ids.length; at += idsAtOnce) {
        const found = yield* select(padded(ids.slice(at, at + idsAtOnce)), lockRows)
        for (const row of found) rows.set(String(row.id), row)
      }
      return rows
    })
  }
}
