/**
 * Commits what was derived from a message only while the message still is what it was derived from.
 *
 * **Details**
 *
 * - `commit` opens one transaction that takes the write lock before it looks, so that nobody can edit or
 *   delete the message between the look and the commit: the whole database on SQLite, the message's row
 *   (`FOR UPDATE`) elsewhere.
 * - Only content and deletion matter. A message that was moved, or edited and edited back, is not stale.
 * - Whatever ends `write` early (failure, defect, interruption) rolls everything back.
 *
 * **Gotchas**
 *
 * - `write` must go through the same `SqlClient`; what it does elsewhere is not rolled back.
 * - A busy SQLite database or a serialisation conflict is an `SqlError` whose `isRetryable` is true: commit
 *   again. Inside an outer transaction, run the outer one again.
 * - Run and tested on SQLite and PostgreSQL. A database without `FOR UPDATE` refuses the statement.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { StaleOutput } from "./Errors.ts"

/** What a plugin was asked about: an output belongs to this text and no other. */
export interface MessageSnapshot {
  readonly messageId: string
  /** As the database returned it, compared code unit by code unit. */
  readonly content_raw: string
}

/** Where messages are kept; names are quoted, a dot parts schema and table. */
export interface StalenessOptions {
  /** Default `"messages"`. */
  readonly table?: string
  /** Default `"id"`. */
  readonly id?: string
  /** A text column. Default `"content_raw"`. */
  readonly content?: string
  /** Null while the message is not deleted. Default `"deleted_at"`. */
  readonly deletedAt?: string
}

/** Guards commits against messages that have changed meanwhile. */
export class Staleness extends Context.Service<
  Staleness,
  {
    /** Reads the message for a run; fails with `StaleOutput` if it is `MISSING` or `DELETED` already. */
    readonly capture: (messageId: string) => Effect.Effect<MessageSnapshot, StaleOutput | SqlError.SqlError>
    /**
     * Runs `write` in a transaction (a savepoint inside another one) if the message is as it was captured;
     * fails with `StaleOutput` and changes nothing if not.
     */
    readonly commit: <A, E, R>(
      snapshot: MessageSnapshot,
      write: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, StaleOutput | E | SqlError.SqlError, R>
  }
>()("@agentlip/plugin-runtime/Staleness") {
  /**
   * Guards a table of the hub's own shape.
   *
   * @example
   * ```ts
   * Staleness.layerWith({ table: "chat.posts", id: "post_id", content: "body", deletedAt: "removed_at" })
   * ```
   */
  static readonly layerWith = (
    options: StalenessOptions
  ): Layer.Layer<Staleness, never, SqlClient.SqlClient> =>
    Layer.effect(
      Staleness,
      Effect.map(SqlClient.SqlClient, (sql) => make(sql, options))
    )

  /** Guards `messages(id, content_raw, deleted_at)`. */
  static readonly layer: Layer.Layer<Staleness, never, SqlClient.SqlClient> = Staleness.layerWith({})

  /** `capture` of the Staleness in context. */
  static readonly capture = (
    messageId: string
  ): Effect.Effect<MessageSnapshot, StaleOutput | SqlError.SqlError, Staleness> =>
    Staleness.use(({ capture }) => capture(messageId))

  /**
   * `commit` of the Staleness in context.
   *
   * @example
   * ```ts
   * const snapshot = yield* Staleness.capture(message.id)
   * const found = yield* runtime.run(spec, { message })
   * yield* Staleness.commit(snapshot, insertEnrichments(message.id, found)).pipe(
   *   Effect.catchTag("StaleOutput", ({ reason }) => Effect.logInfo("discarded", reason))
   * )
   * ```
   */
  static readonly commit = <A, E, R>(
    snapshot: MessageSnapshot,
    write: Effect.Effect<A, E, R>
  ): Effect.Effect<A, StaleOutput | E | SqlError.SqlError, R | Staleness> =>
    Staleness.use(({ commit }) => commit(snapshot, write))
}

const Row = Schema.Struct({ content: Schema.String, deleted: Schema.Unknown })
const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))

const make = (sql: SqlClient.SqlClient, options: StalenessOptions): Staleness["Service"] => {
  const table = sql(options.table ?? "messages")
  const id = sql(options.id ?? "id")
  const content = sql(options.content ?? "content_raw")
  const deletedAt = sql(options.deletedAt ?? "deleted_at")

  // A write that touches no row takes SQLite's write lock, whatever BEGIN the client uses.
  const lockDatabase = sql.onDialectOrElse({
    sqlite: () => Effect.asVoid(sql`UPDATE ${table} SET ${content} = ${content} WHERE 1 = 0`),
    orElse: () => Effect.void
  })
  const lockRow = sql.onDialectOrElse({
    sqlite: () => sql.literal(""),
    orElse: () => sql.literal("FOR UPDATE")
  })

  /** The content of a message that is there. */
  const read = Effect.fnUntraced(function* (messageId: string, lock: typeof lockRow) {
    const rows = yield* sql`
      SELECT ${content} AS content, ${deletedAt} AS deleted FROM ${table} WHERE ${id} = ${messageId} ${lock}
    `
    // A content that is no text is a wrong column: a mistake in the options, not a state of the message.
    const [row] = yield* Effect.orDie(decodeRows(rows))
    if (row === undefined) return yield* new StaleOutput({ messageId, reason: "MISSING" })
    if (row.deleted !== null) return yield* new StaleOutput({ messageId, reason: "DELETED" })
    return row.content
  })

  return {
    capture: (messageId) =>
      Effect.map(read(messageId, sql.literal("")), (content_raw) => ({ messageId, content_raw })),
    commit: ({ messageId, content_raw }, write) =>
      sql.withTransaction(
        Effect.gen(function* () {
          yield* lockDatabase
          if ((yield* read(messageId, lockRow)) !== content_raw) {
            return yield* new StaleOutput({ messageId, reason: "CONTENT_CHANGED" })
          }
          return yield* write
        })
      )
  }
}
