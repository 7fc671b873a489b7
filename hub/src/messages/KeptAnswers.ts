/** Kept answers to requests with an `Idempotency-Key`, as far as they hold a message. */
import { Effect, Option, Schema } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import type { Message } from "@agentlip/protocol"

const decodeAnswer = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ message: Schema.Struct({ id: Schema.String }) }))
)

/** The id of the message in an answer, or `null` if the answer holds none. */
export const messageIdIn = (answer: string): string | null =>
  Option.match(decodeAnswer(answer), { onNone: () => null, onSome: ({ message }) => message.id })

/**
 * Puts a deleted message's tombstone into every kept answer that holds the message. The digest of the request goes
 * too, because a short text can be guessed from it: a repeat of the key gets the tombstone, whatever its body.
 */
export const forgetContent = (
  sql: SqlClient.SqlClient,
  tombstone: Message
): Effect.Effect<void, SqlError.SqlError> =>
  Effect.gen(function* () {
    const kept = yield* sql<{ readonly key: string; readonly answer: string }>`
      SELECT key, answer FROM idempotency_keys WHERE message_id = ${tombstone.id}`
    for (const { key, answer } of kept) {
      const without = JSON.stringify({ ...JSON.parse(answer), message: tombstone })
      yield* sql`UPDATE idempotency_keys SET body_digest = '', answer = ${without} WHERE key = ${key}`
    }
  })
