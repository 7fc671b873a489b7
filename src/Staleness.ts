/**
 * Commits what was derived from a message only if the message has not changed since.
 *
 * **Details**
 *
 * - `commit` opens one transaction that takes the write lock before it reads the message: on the whole database on
 *   SQLite, on the message's row (`FOR UPDATE`) elsewhere. So no edit or deletion comes between the check and the commit.
 * - `commitAll` does this for many messages in one transaction. Stale messages do not affect the others.
 * - Only content and deletion matter. A message that was moved, or edited and edited back, is not stale.
 * - A content that became null has changed. One that is null from the start is `ContentNotText`, unless the message is
 *   deleted.
 * - If `write` fails, dies or is interrupted, everything is rolled back.
 *
 * **Gotchas**
 *
 * - `write` must use the same `SqlClient`. Other effects are not rolled back.
 * - A busy SQLite database or a serialisation conflict is an `SqlError` whose `isRetryable` is true: commit again.
 *   Inside an outer transaction, run the outer one again.
 * - Tested on SQLite and PostgreSQL. A database without `FOR UPDATE` refuses the statement.
 */
import { Context, Effect, Layer, Result, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { StaleOutput } from "./Errors.ts"
import { makeMessageTable, type MessageRow, type StalenessOptions } from "./staleness/MessageTable.ts"

export type { StalenessOptions } from "./staleness/MessageTable.ts"

/** The content column of a message that is not deleted holds no text, so no plugin can run on it. */
export class ContentNotText extends Schema.TaggedError<ContentNotText>(
  "@agentlip/plugin-runtime/ContentNotText"
)("ContentNotText", {
  messageId: Schema.String,
  /** Table and column. */
  column: Schema.String,
  /** `"null"`, or the JavaScript type of the value that the database returned. */
  found: Schema.String
}) {
  override get message(): string {
    return `Message ${this.messageId} has ${this.found} in ${this.column} instead of a text. Store a text there (it may be empty), or set Staleness's option "content" to the column with the text.`
  }
}

/** The text that a plugin ran on. Its output belongs to this text only. */
export interface MessageSnapshot {
  readonly messageId: string
  /** As the database returned it; compared unit by unit. */
  readonly content_raw: string
}

/** Guards commits against messages that have changed in the meantime. */
export class Staleness extends Context.Service<
  Staleness,
  {
    /**
     * Reads the message for a run. Fails with `StaleOutput` if it is `MISSING` or `DELETED`, and with `ContentNotText` if
     * it has no text.
     */
    readonly capture: (
      messageId: string
    ) => Effect.Effect<MessageSnapshot, StaleOutput | ContentNotText | SqlError.SqlError>
    /**
     * Runs `write` in a transaction (a savepoint inside another one) if the message has not changed since it was captured.
     * Otherwise fails with `StaleOutput` and changes nothing. Fails with `ContentNotText` if the column holds no text.
     */
    readonly commit: <A, E, R>(
      snapshot: MessageSnapshot,
      write: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, StaleOutput | ContentNotText | E | SqlError.SqlError, R>
    /**
     * Checks many snapshots and runs `write`, all in one transaction. `write` gets one result for each snapshot, in
     * order: the snapshot if it is current, or its `StaleOutput`. It commits the current ones; a stale one does not
     * affect them. If `write` fails, nothing is committed.
     */
    readonly commitAll: <S extends MessageSnapshot, A, E, R>(
      snapshots: ReadonlyArray<S>,
      write: (checked: ReadonlyArray<Result.Result<S, StaleOutput>>) => Effect.Effect<A, E, R>
    ) => Effect.Effect<A, ContentNotText | E | SqlError.SqlError, R>
  }
>()("@agentlip/plugin-runtime/Staleness") {
  /**
   * Guards a table with other names.
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
  ): Effect.Effect<MessageSnapshot, StaleOutput | ContentNotText | SqlError.SqlError, Staleness> =>
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
  ): Effect.Effect<A, StaleOutput | ContentNotText | E | SqlError.SqlError, R | Staleness> =>
    Staleness.use(({ commit }) => commit(snapshot, write))

  /**
   * `commitAll` of the Staleness in context.
   *
   * @example
   * ```ts
   * const snapshot = yield* Staleness.capture(message.id)
   * const found = yield* runtime.run(spec, { message })
   * yield* Staleness.commitAll([{ ...snapshot, found }], (checked) =>
   *   Effect.forEach(checked, (check) =>
   *     Result.isSuccess(check)
   *       ? insertEnrichments(check.success.messageId, check.success.found)
   *       : Effect.logInfo("discarded", check.failure.reason)
   *   )
   * )
   * ```
   */
  static readonly commitAll = <S extends MessageSnapshot, A, E, R>(
    snapshots: ReadonlyArray<S>,
    write: (checked: ReadonlyArray<Result.Result<S, StaleOutput>>) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, ContentNotText | E | SqlError.SqlError, R | Staleness> =>
    Staleness.use(({ commitAll }) => commitAll(snapshots, write))
}

const make = (sql: SqlClient.SqlClient, options: StalenessOptions): Staleness["Service"] => {
  const messages = makeMessageTable(sql, options)

  const notText = (messageId: string, found: string): ContentNotText =>
    new ContentNotText({ messageId, column: messages.contentColumn, found })

  /** The content of a message, `undefined` for null, or why there is none. */
  const contentOf = (
    messageId: string,
    row: MessageRow | undefined
  ): Result.Result<string | undefined, StaleOutput | ContentNotText> => {
    if (row === undefined) return Result.fail(new StaleOutput({ messageId, reason: "MISSING" }))
    if (row.deleted !== null) return Result.fail(new StaleOutput({ messageId, reason: "DELETED" }))
    if (row.content === null) return Result.succeed(undefined)
    return typeof row.content === "string"
      ? Result.succeed(row.content)
      : Result.fail(notText(messageId, typeof row.content))
  }

  const check = <S extends MessageSnapshot>(
    snapshot: S,
    row: MessageRow | undefined
  ): Result.Result<S, StaleOutput | ContentNotText> =>
    Result.flatMap(contentOf(snapshot.messageId, row), (content) =>
      content === snapshot.content_raw
        ? Result.succeed(snapshot)
        : Result.fail(new StaleOutput({ messageId: snapshot.messageId, reason: "CONTENT_CHANGED" }))
    )

  return {
    capture: Effect.fnUntraced(function* (messageId) {
      const row = yield* messages.read(messageId)
      const content_raw = yield* Effect.fromResult(contentOf(messageId, row))
      if (content_raw === undefined) return yield* notText(messageId, "null")
      return { messageId, content_raw }
    }),
    commit: Effect.fnUntraced(function* (snapshot, write) {
      const row = yield* messages.readLocked(snapshot.messageId)
      yield* Effect.fromResult(check(snapshot, row))
      return yield* write
    }, sql.withTransaction),
    commitAll: Effect.fnUntraced(function* <S extends MessageSnapshot, A, E, R>(
      snapshots: ReadonlyArray<S>,
      write: (checked: ReadonlyArray<Result.Result<S, StaleOutput>>) => Effect.Effect<A, E, R>
    ) {
      const rows = yield* messages.readAllLocked(snapshots.map(({ messageId }) => messageId))
      const checked: Array<Result.Result<S, StaleOutput>> = []
      for (const snapshot of snapshots) {
        const result = check(snapshot, rows.get(snapshot.messageId))
        if (Result.isSuccess(result)) checked.push(Result.succeed(result.success))
        else if (result.failure._tag === "ContentNotText") return yield* result.failure
        else checked.push(Result.fail(result.failure))
      }
      return yield* write(checked)
    }, sql.withTransaction)
  }
}
