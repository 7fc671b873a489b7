/**
 * Adds rows to the index, a few in each step. A step is one transaction: it reads the rows, stores their words and moves
 * the ends of the index.
 */
import type { JsonObject } from "@agentlip/protocol"
import { Effect } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import type { Page } from "../database/Pages.ts"
import { attachmentText, makeDocuments } from "./documents.ts"
import { begin, hasNew, type Progress } from "./progress.ts"

/** Bounds of a step: it takes a few milliseconds, in which nothing else is written. */
const rowsOfStep = 128
const bytesOfStep = 64 * 1024
const rowsAtOnce = 32

interface MessageRow {
  readonly id: string
  readonly created_at: string
  readonly content_raw: string
  readonly deleted_at: string | null
}

interface AttachmentRow {
  readonly id: string
  readonly created_at: string
  readonly key: string | null
  readonly value_json: string
}

interface OpenRow {
  readonly number: number
  readonly message_id: string
  readonly content_raw: string
}

type Row = { readonly message: MessageRow } | { readonly attachment: AttachmentRow }

const createdAt = (row: Row): string => ("message" in row ? row.message : row.attachment).created_at

const sourceOf = (row: Row, number: number) => {
  if ("message" in row) {
    const { id, content_raw } = row.message
    return { number, message_id: id, attachment_id: null, text: content_raw }
  }
  const { id, key, value_json } = row.attachment
  // The database holds JSON objects only.
  const value: JsonObject = JSON.parse(value_json)
  return { number, message_id: null, attachment_id: id, text: attachmentText(key, value) }
}

const isDeleted = (row: Row): boolean => "message" in row && row.message.deleted_at !== null

/**
 * The rows of a step. It does not use the service `Pages`: a list there may wait for the connection that this transaction
 * has, while this one waits for the list.
 */
const bounded = Effect.fnUntraced(function* <Row extends object>(
  bytesOf: (row: Row) => number,
  read: (count: number, last: Row | undefined) => Effect.Effect<ReadonlyArray<Row>, SqlError.SqlError>
) {
  const rows: Array<Row> = []
  let bytes = 0
  while (rows.length < rowsOfStep && bytes < bytesOfStep) {
    const some = yield* read(rowsAtOnce, rows.at(-1))
    for (const row of some) {
      if (bytes >= bytesOfStep) break
      rows.push(row)
      bytes += bytesOf(row)
    }
    if (some.length < rowsAtOnce) return { rows, has_more: some.length > 0 && rows.at(-1) !== some.at(-1) }
  }
  return { rows, has_more: true }
})

/**
 * The rows of both lists by their times. Each list keeps its own order. It ends with a list that goes on elsewhere,
 * because rows of the other list may come after those.
 */
const merge = (one: Page<Row>, other: Page<Row>, order: "ASC" | "DESC"): ReadonlyArray<Row> => {
  const merged: Array<Row> = []
  let [left, right] = [0, 0]
  while (true) {
    const [a, b] = [one.rows[left], other.rows[right]]
    if ((a === undefined && one.has_more) || (b === undefined && other.has_more)) return merged
    if (a === undefined && b === undefined) return merged
    const takesA =
      b === undefined ||
      (a !== undefined && (order === "ASC" ? createdAt(a) <= createdAt(b) : createdAt(a) > createdAt(b)))
    const taken = takesA ? a : b
    if (taken !== undefined) merged.push(taken)
    if (takesA) left++
    else right++
  }
}

/** The last id of each kind among rows. */
const lastIds = (rows: ReadonlyArray<Row>) => ({
  message: rows.findLast((row) => "message" in row)?.message.id,
  attachment: rows.findLast((row) => "attachment" in row)?.attachment.id
})

export const makeSteps = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const documents = makeDocuments(sql)

  /** Messages and attachments from one end of the index on, in the order of their creation or against it. */
  const rowsFrom = Effect.fnUntraced(function* (
    messages: (last: string | undefined) => Statement.Fragment,
    attachments: (last: string | undefined) => Statement.Fragment,
    order: "ASC" | "DESC"
  ) {
    const end = sql.literal(`ORDER BY id ${order} LIMIT `)
    const some = yield* bounded<MessageRow>(
      ({ content_raw }) => content_raw.length,
      (count, last) => sql`
        SELECT id, created_at, content_raw, deleted_at FROM messages WHERE ${messages(last?.id)} ${end}${count}`
    )
    const others = yield* bounded<AttachmentRow>(
      ({ value_json }) => value_json.length,
      (count, last) => sql`
        SELECT id, created_at, key, value_json FROM attachments WHERE ${attachments(last?.id)} ${end}${count}`
    )
    const rows = merge(
      { rows: some.rows.map((message) => ({ message })), has_more: some.has_more },
      { rows: others.rows.map((attachment) => ({ attachment })), has_more: others.has_more },
      order
    )
    return { rows, has_more: some.has_more || others.has_more }
  })

  const save = (progress: Progress) => sql`UPDATE search_progress SET ${sql.update({ ...progress })}`

  /** Indexes texts that were changed. Returns whether there may be more. */
  const refill = Effect.gen(function* () {
    const { rows, has_more } = yield* bounded<OpenRow>(
      ({ content_raw }) => content_raw.length,
      (count, last) => sql`
        SELECT d.number, d.message_id, m.content_raw
        FROM search_documents d JOIN messages m ON m.id = d.message_id
        WHERE d.words IS NULL AND d.number > ${last?.number ?? 0} ORDER BY d.number LIMIT ${count}`
    )
    if (rows.length === 0) return false
    yield* documents.add(
      rows.map(({ number, message_id, content_raw }) => ({
        number,
        message_id,
        attachment_id: null,
        text: content_raw
      }))
    )
    return has_more
  })

  /** Indexes some of the rows that are new or have changed. Returns whether there may be more. */
  const forward = Effect.gen(function* () {
    const progress = yield* begin(sql)
    const refilled = yield* refill
    const { newest_message, newest_attachment, next_number } = progress
    const { rows, has_more } = yield* rowsFrom(
      (last = newest_message) => sql`id > ${last}`,
      (last = newest_attachment) => sql`id > ${last}`,
      "ASC"
    )
    if (rows.length === 0) return refilled
    const sources = rows
      .filter((row) => !isDeleted(row))
      .map((row, index) => sourceOf(row, next_number + index))
    if (sources.length > 0) yield* documents.add(sources)
    const last = lastIds(rows)
    yield* save({
      ...progress,
      newest_message: last.message ?? newest_message,
      newest_attachment: last.attachment ?? newest_attachment,
      next_number: next_number + sources.length
    })
    return has_more || refilled
  }).pipe(sql.withTransaction)

  /** Indexes some of the rows that are older than the index, and returns where it is then. */
  const backward = Effect.gen(function* () {
    const progress = yield* begin(sql)
    if (progress.is_complete === 1) return progress
    const { oldest_message, oldest_attachment, previous_number } = progress
    const { rows } = yield* rowsFrom(
      (last = oldest_message) => sql`id < ${last}`,
      (last = oldest_attachment) => sql`id < ${last}`,
      "DESC"
    )
    const sources = rows
      .filter((row) => !isDeleted(row))
      .map((row, index) => sourceOf(row, previous_number - index))
    // Ascending numbers cost FTS5 the least.
    if (sources.length > 0) yield* documents.add(sources.toReversed())
    const last = lastIds(rows)
    const next: Progress = {
      ...progress,
      oldest_message: last.message ?? oldest_message,
      oldest_attachment: last.attachment ?? oldest_attachment,
      previous_number: previous_number - sources.length,
      done: progress.done + rows.length,
      is_complete: rows.length === 0 ? 1 : 0
    }
    yield* save(next)
    return next
  }).pipe(sql.withTransaction)

  /** PostgreSQL chooses between its indexes by statistics, which it otherwise takes a minute later. */
  const analyze = sql.onDialectOrElse({
    pg: () => Effect.asVoid(sql`ANALYZE search_documents`),
    orElse: (): Effect.Effect<void, SqlError.SqlError> => Effect.void
  })

  return { forward, backward, analyze, hasNew: hasNew(sql), begin: sql.withTransaction(begin(sql)) }
})
