/** Reads messages of a topic or a channel, newest first. */
import type { Message } from "@agentlip/protocol"
import { Effect } from "effect"
import type { CommandError } from "../CommandError.ts"
import type { HubReader } from "./HubReader.ts"
import { collect } from "./pages.ts"

interface Scope {
  readonly topic_id: string | undefined
  readonly channel_id?: string | undefined
}

interface Range {
  readonly before?: string | undefined
  readonly after?: string | undefined
}

/**
 * The newest `limit` messages in the range. With `after` alone: the `limit` messages that follow it, so that a reader
 * can go on from page to page.
 */
export const messagesOf = Effect.fnUntraced(function* (
  { ask }: HubReader,
  scope: Scope,
  limit: number,
  { before, after }: Range = {}
) {
  const isForward = after !== undefined && before === undefined
  const { rows, has_more } = yield* collect<Message, CommandError, never>(limit, (limit, rows) => {
    const last = rows.at(-1)?.id
    const query = isForward
      ? { ...scope, limit, order: "asc" as const, after_id: last ?? after }
      : { ...scope, limit, before_id: last ?? before, after_id: after }
    return Effect.map(
      ask((api) => api.reads.messages({ query })),
      ({ messages, has_more }) => ({ rows: messages, has_more })
    )
  })
  return { messages: isForward ? rows.toReversed() : rows, has_more }
})
