/** Messages. Every change writes its row and its event in one transaction, and its jobs too if the content changed. */
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import {
  type CrossChannelMove,
  type Erasure,
  InvalidInput,
  type Message,
  type MoveMode,
  type NotFound,
  notFound,
  PayloadTooLarge,
  VersionConflict
} from "@agentlip/protocol"
import * as Dialect from "../database/Dialect.ts"
import { Findings } from "../jobs/Findings.ts"
import { EventLog } from "../core/EventLog.ts"
import type { Ids } from "../core/Ids.ts"
import * as Trace from "../core/Trace.ts"
import { Erasures } from "../retention/Erasures.ts"
import { tombstone } from "../retention/erasedData.ts"
import { timestamp } from "../timestamp.ts"
import { JobQueue } from "../jobs/JobQueue.ts"
import { Pages } from "../database/Pages.ts"
import { forgetContent } from "./KeptAnswers.ts"
import { makeMove, type Moved } from "./Moves.ts"
import { makePosts, type NewMessage, type Posted } from "./Posts.ts"
import { Topics } from "./Topics.ts"

export const maxMessageBytes = 64 * 1024

export interface MessageQuery {
  readonly topic_id?: string | undefined
  readonly channel_id?: string | undefined
  readonly limit: number
  readonly before_id?: string | undefined
  readonly after_id?: string | undefined
  /**
   * `asc`: the oldest, oldest first. `desc`: the newest, newest first. Default: as in v1, newest first, and with
   * `after_id` alone those that follow it.
   */
  readonly order?: "asc" | "desc" | undefined
}

export interface Removed {
  readonly message: Message
  /** `null` if the message was deleted before. */
  readonly event_id: number | null
  readonly erasure?: Erasure
}

type Storage = SqlError.SqlError

const columns =
  "id, topic_id, channel_id, sender, content_raw, version, created_at, edited_at, deleted_at, deleted_by"

export class Messages extends Context.Service<
  Messages,
  {
    /** A page ends at `limit`, or earlier at its byte bound. `has_more` counts in the direction of the page. */
    readonly list: (
      query: MessageQuery
    ) => Effect.Effect<
      { readonly messages: ReadonlyArray<Message>; readonly has_more: boolean },
      InvalidInput | Storage
    >
    readonly get: (id: string) => Effect.Effect<Message, NotFound | Storage>
    /** Those of the ids that belong to a message that is not deleted. */
    readonly undeleted: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlySet<string>, Storage>
    /** Returns after the commit. Posts that arrive together share a transaction: see Posts.ts. */
    readonly create: (message: NewMessage) => Effect.Effect<Posted, NotFound | PayloadTooLarge | Storage>
    /** A deleted message cannot be edited. */
    readonly edit: (
      id: string,
      content_raw: string,
      expectedVersion?: number
    ) => Effect.Effect<Posted, NotFound | InvalidInput | PayloadTooLarge | VersionConflict | Storage>
    /**
     * Leaves a tombstone, whose `edited_at` is its `deleted_at`. The text, findings, errors of jobs and kept answers are
     * removed in the same transaction. Attachments that a client posted stay. Events keep the text unless `erase` is set: see Erasures.ts. Has no effect
     * on a deleted message, except with `erase`.
     */
    readonly remove: (
      id: string,
      actor: string,
      options?: { readonly expected_version?: number; readonly erase?: boolean }
    ) => Effect.Effect<Removed, NotFound | VersionConflict | Storage>
    /** Moves within a channel only. Attachments stay in the topic they were added to. */
    readonly move: (
      id: string,
      toTopicId: string,
      mode: MoveMode,
      expectedVersion?: number
    ) => Effect.Effect<Moved, NotFound | CrossChannelMove | VersionConflict | Storage>
  }
>()("@agentlip/hub/Messages") {
  static readonly layer: Layer.Layer<
    Messages,
    never,
    SqlClient.SqlClient | Erasures | EventLog | Ids | Topics | Findings | JobQueue
  > = Layer.effect(
    Messages,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const events = yield* EventLog
      const topics = yield* Topics
      const findings = yield* Findings
      const queue = yield* JobQueue
      const erasures = yield* Erasures
      const pages = yield* Pages
      const givenIds = Dialect.given(sql, { id: "text" })

      const get = Effect.fnUntraced(function* (id: string) {
        const [message] = yield* sql<Message>`
          SELECT ${sql.literal(columns)} FROM messages WHERE id = ${id}`
        return message === undefined ? yield* notFound("message", id) : message
      })

      const requireVersion = ({ version }: Message, expected: number | undefined) =>
        expected === undefined || expected === version
          ? Effect.void
          : Effect.fail(
              new VersionConflict({
                error: `The message is at version ${version}, not ${expected}`,
                details: { current: version }
              })
            )

      /** Replaces lone surrogates, which SQLite cannot store, and checks the size. */
      const storable = Effect.fnUntraced(function* (content: string) {
        const text = content.toWellFormed()
        if (Buffer.byteLength(text) > maxMessageBytes) {
          return yield* new PayloadTooLarge({
            error: `content_raw: at most ${maxMessageBytes} bytes of UTF-8`,
            details: { max_bytes: maxMessageBytes }
          })
        }
        return text
      })

      const about = ({ id, channel_id, topic_id }: Message) =>
        ({ scope: { channel_id, topic_id }, entity: { type: "message", id } }) as const

      const post = yield* makePosts
      const create = (given: NewMessage) =>
        Effect.flatMap(storable(given.content_raw), (content_raw) => post({ ...given, content_raw }))

      const edit = Effect.fnUntraced(function* (id: string, content: string, expectedVersion?: number) {
        const content_raw = yield* storable(content)
        const before = yield* get(id)
        yield* requireVersion(before, expectedVersion)
        if (before.deleted_at !== null) {
          return yield* new InvalidInput({ error: "The message is deleted and cannot be edited" })
        }
        const now = yield* timestamp
        const message: Message = {
          ...before,
          content_raw,
          version: before.version + 1,
          edited_at: now
        }
        const [row] = yield* sql<{ content_version: number }>`
          UPDATE messages SET content_raw = ${content_raw}, edited_at = ${message.edited_at},
            version = ${message.version}, content_version = content_version + 1
          WHERE id = ${id} RETURNING content_version`
        if (row === undefined) return yield* notFound("message", id)
        yield* topics.touch([message.topic_id], now)
        yield* findings.removeEnrichments(id)
        const event_id = yield* events.append(
          {
            ...about(message),
            name: "message.edited",
            data: {
              message_id: id,
              old_content: before.content_raw,
              new_content: content_raw,
              version: message.version
            }
          },
          now
        )
        const traceparent = (yield* Trace.current) ?? null
        yield* queue.offer([{ message_id: id, content_version: row.content_version, traceparent }], now)
        return { message, event_id }
      }, sql.withTransaction)

      const undeleted = (ids: ReadonlyArray<string>) =>
        Effect.map(
          sql<{ readonly id: string }>`
            SELECT id FROM messages
            WHERE id IN (SELECT id FROM ${givenIds(ids.map((id) => ({ id })))}) AND deleted_at IS NULL`,
          (rows): ReadonlySet<string> => new Set(rows.map(({ id }) => id))
        )

      /** Removes what was derived from a deleted message, and what quotes it. */
      const forget = Effect.fnUntraced(function* (message: Message) {
        yield* findings.removeEnrichments(message.id)
        yield* findings.removeAttachments(message.id)
        yield* queue.forgetErrors(message.id)
        yield* forgetContent(sql, message)
      })

      const bury = Effect.fnUntraced(function* (before: Message, deleted_by: string) {
        const { id } = before
        const now = yield* timestamp
        const version = before.version + 1
        const message: Message = {
          ...before,
          content_raw: tombstone,
          version,
          edited_at: now,
          deleted_at: now,
          deleted_by
        }
        yield* sql`
          UPDATE messages SET content_raw = ${tombstone}, version = ${version},
            edited_at = ${now}, deleted_at = ${now}, deleted_by = ${deleted_by}
          WHERE id = ${id}`
        yield* forget(message)
        const event_id = yield* events.append(
          {
            ...about(message),
            name: "message.deleted",
            data: { message_id: id, deleted_by, version }
          },
          now
        )
        return { message, event_id }
      })

      const remove = Effect.fnUntraced(function* (
        id: string,
        actor: string,
        {
          expected_version,
          erase = false
        }: { readonly expected_version?: number; readonly erase?: boolean } = {}
      ) {
        const before = yield* get(id)
        const isDeleted = before.deleted_at !== null
        if (!isDeleted) yield* requireVersion(before, expected_version)
        const removed = isDeleted ? { message: before, event_id: null } : yield* bury(before, actor)
        if (!erase) return removed
        if (isDeleted) yield* forget(before)
        return { ...removed, erasure: yield* erasures.request(removed.message, actor) }
      }, sql.withTransaction)

      const moveTo = yield* makeMove
      const move = Effect.fnUntraced(function* (
        id: string,
        toTopicId: string,
        mode: MoveMode,
        expectedVersion?: number
      ) {
        const message = yield* get(id)
        yield* requireVersion(message, expectedVersion)
        return yield* moveTo(message, toTopicId, mode)
      }, sql.withTransaction)

      const list = Effect.fnUntraced(function* (query: MessageQuery) {
        const { topic_id, channel_id, limit, before_id, after_id, order } = query
        const isForward = order === undefined && after_id !== undefined && before_id === undefined
        const isAscending = order === "asc" || isForward
        if (topic_id === undefined && channel_id === undefined) {
          return yield* new InvalidInput({ error: "topic_id or channel_id is required" })
        }
        const { rows, has_more } = yield* pages.page<Message, SqlError.SqlError, never>({
          limit,
          read: (count, last) => {
            const before = isAscending ? before_id : (last?.id ?? before_id)
            const after = isAscending ? (last?.id ?? after_id) : after_id
            return sql`
              SELECT ${sql.literal(columns)} FROM messages
              WHERE ${sql.and([
                ...(topic_id === undefined ? [] : [sql`topic_id = ${topic_id}`]),
                ...(channel_id === undefined ? [] : [sql`channel_id = ${channel_id}`]),
                ...(before === undefined ? [] : [sql`id < ${before}`]),
                ...(after === undefined ? [] : [sql`id > ${after}`])
              ])}
              ORDER BY id ${sql.literal(isAscending ? "ASC" : "DESC")} LIMIT ${count}`
          }
        })
        return { messages: isForward ? rows.toReversed() : rows, has_more }
      })

      return Messages.of({ list, get, undeleted, create, edit, remove, move })
    })
  ).pipe(Layer.provide(Pages.layer))
}
