/**
 * Writes new messages. Posts that arrive together share a transaction: its cost is that of one post plus a little for
 * each other one.
 *
 * **Details**
 *
 * - A post returns after its transaction has committed.
 * - A post that fails does not affect the others. If a group cannot be committed, each of its posts is committed alone.
 * - Ids and event numbers follow the order of arrival.
 */
import { Cause, Effect, Exit, Option } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { type Message, type NotFound, notFound } from "@agentlip/protocol"
import { EventLog } from "../core/EventLog.ts"
import { Ids } from "../core/Ids.ts"
import * as Trace from "../core/Trace.ts"
import { WakeUp } from "../core/WakeUp.ts"
import * as EachRow from "../database/EachRow.ts"
import { storageFailure } from "../database/StorageFailure.ts"
import { JobQueue } from "../jobs/JobQueue.ts"
import { timestamp } from "../timestamp.ts"
import { Topics } from "./Topics.ts"

/** A message to post. Its content is checked. */
export interface NewMessage {
  readonly topic_id: string
  readonly sender: string
  readonly content_raw: string
}

export interface Posted {
  readonly message: Message
  readonly event_id: number
}

type Written = Exit.Exit<Posted, NotFound | SqlError.SqlError>

interface Post {
  readonly given: NewMessage
  /** The W3C trace context of the request; `null` if it is not traced. */
  readonly traceparent: string | null
}

interface Waiting extends Post {
  readonly written: (result: Written) => void
}

/** Bounds of one transaction, so that it never delays other requests noticeably. */
const maxPosts = 64
const maxChars = 256 * 1024

/** Removes the first posts that fit into one transaction, and returns them. */
const nextGroup = (waiting: Array<Waiting>): ReadonlyArray<Waiting> => {
  let count = 0
  let chars = 0
  for (const { given } of waiting) {
    chars += given.content_raw.length
    if (count === maxPosts || (count > 0 && chars > maxChars)) break
    count++
  }
  return waiting.splice(0, count)
}

/** Returns a function that posts a message. It works until the scope closes. */
export const makePosts = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const events = yield* EventLog
  const ids = yield* Ids
  const topics = yield* Topics
  const queue = yield* JobQueue
  const addMessages = EachRow.insert(sql, "messages", {
    id: "text",
    topic_id: "text",
    channel_id: "text",
    sender: "text",
    content_raw: "text",
    version: "integer",
    content_version: "integer",
    created_at: "text"
  })

  /** Writes all posts or none. A post to a topic that does not exist fails, and the others are written. */
  const writeAll = Effect.fnUntraced(function* (posts: ReadonlyArray<Post>) {
    const created_at = yield* timestamp
    const topicIds = posts.map(({ given }) => given.topic_id)
    const channels = yield* topics.touch(topicIds, created_at)
    const found = posts.filter(({ given }) => channels.has(given.topic_id))
    const nextId = yield* ids.reserve(found.length)
    const messages = found.map(
      ({ given: { topic_id, sender, content_raw } }): Message => ({
        id: nextId(),
        topic_id,
        channel_id: channels.get(topic_id) ?? "",
        sender,
        content_raw,
        version: 1,
        created_at,
        edited_at: null,
        deleted_at: null,
        deleted_by: null
      })
    )
    yield* addMessages(messages.map((message) => ({ ...message, content_version: 1 })))
    const numbers = yield* events.appendAll(
      messages.map((message) => ({
        name: "message.created",
        scope: { channel_id: message.channel_id, topic_id: message.topic_id },
        entity: { type: "message", id: message.id },
        data: { message }
      })),
      created_at
    )
    yield* queue.offer(
      messages.map(({ id }, index) => ({
        message_id: id,
        content_version: 1,
        traceparent: found[index]?.traceparent ?? null
      })),
      created_at
    )
    const results = messages.map((message, index): Posted => ({ message, event_id: numbers[index] ?? 0 }))
    let next = 0
    return posts.map(({ given }): Exit.Exit<Posted, NotFound> => {
      const result = channels.has(given.topic_id) ? results[next++] : undefined
      return result === undefined ? Exit.fail(topicNotFound(given)) : Exit.succeed(result)
    })
  }, sql.withTransaction)

  const waiting: Array<Waiting> = []
  const wakeUp = new WakeUp()

  const write = (group: ReadonlyArray<Waiting>): Effect.Effect<void> =>
    group
      // The transaction gets a span in the trace of each of its posts.
      .reduce(
        (written, { traceparent }) =>
          traceparent === null ? written : Trace.span("post", {}, traceparent)(written),
        writeAll(group)
      )
      .pipe(
        Effect.map((results) => {
          for (const [index, { written }] of group.entries()) written(results[index] ?? Exit.interrupt())
        }),
        Effect.catchCause((cause) => {
          if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
          // The state of the database is to blame, not a post.
          if (group.length === 1 || storageFailure(cause) !== undefined) {
            for (const { written } of group) written(Exit.failCause(cause))
            return Effect.void
          }
          return Effect.forEach(group, (one) => write([one]), { discard: true })
        })
      )

  /** Writes the posts that have arrived by the end of this turn of the event loop. */
  yield* Effect.gen(function* () {
    yield* wakeUp.next
    while (waiting.length > 0) {
      yield* queue.room
      const group = nextGroup(waiting)
      // All may have been interrupted meanwhile.
      if (group.length > 0) yield* write(group)
    }
  }).pipe(Effect.forever, Effect.forkScoped)

  const inGroup = (post: Post): Effect.Effect<Posted, NotFound | SqlError.SqlError> =>
    Effect.callback((resume) => {
      const one: Waiting = { ...post, written: resume }
      waiting.push(one)
      wakeUp.ring()
      return Effect.sync(() => {
        const index = waiting.indexOf(one)
        if (index >= 0) waiting.splice(index, 1)
      })
    })

  return Effect.fnUntraced(function* (given: NewMessage) {
    const post = { given, traceparent: (yield* Trace.current) ?? null }
    // In the transaction of an idempotency key, the post commits with the key.
    if (Option.isNone(yield* Effect.serviceOption(sql.transactionService))) return yield* inGroup(post)
    const [result] = yield* writeAll([post])
    return yield* result ?? Effect.die("a post has no result")
  })
})

const topicNotFound = ({ topic_id }: NewMessage): NotFound => notFound("topic", topic_id)
