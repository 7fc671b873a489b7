/** Answers kept for requests with an `Idempotency-Key`, if they contain a message. */
import { Effect, Option, Schema } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import type { Message } from "@agentlip/protocol"

const decodeAnswer = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ message: Schema.Struct({ id: Schema.String }) }))
)

/** The id of the message in an answer, or `null` if there is none. */
export const messageIdIn = (answer: string): string | null =>
  Option.match(decodeAnswer(answer), { onNone: () => null, onSome: ({ message }) => message.id })

/**
 * Replaces a deleted message with its tombstone in every kept answer. It clears the digest of the request too, because
 * a short text can be guessed from it. A later request with the same key then gets the tombstone, whatever its body.
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
