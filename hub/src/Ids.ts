/** Ids that sort in creation order. */
import { Clock, Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"

const counterBits = 20n
const digits = 17

/**
 * Gives ids: 17 hexadecimal digits, the milliseconds since the epoch and a counter. Each is greater than
 * every one before it, of any kind, also after a restart or when the clock is set back.
 */
export class Ids extends Context.Service<Ids, { readonly next: Effect.Effect<string> }>()(
  "@agentlip/hub/Ids"
) {
  static readonly layer: Layer.Layer<Ids, SqlError.SqlError, SqlClient.SqlClient> = Layer.effect(
    Ids,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const [row] = yield* sql<{ last: string | null }>`
        SELECT max(last) AS last FROM (
          SELECT max(id) AS last FROM channels
          UNION ALL SELECT max(id) FROM topics
          UNION ALL SELECT max(id) FROM messages
          UNION ALL SELECT max(id) FROM attachments
          UNION ALL SELECT max(id) FROM enrichments
        )`
      let last = typeof row?.last === "string" ? BigInt(`0x${row.last}`) : 0n
      return Ids.of({
        next: Effect.map(Clock.currentTimeMillis, (now) => {
          const fresh = BigInt(now) << counterBits
          last = fresh > last ? fresh : last + 1n
          return last.toString(16).padStart(digits, "0")
        })
      })
    })
  )
}

/** Now, as the protocol writes it: ISO 8601 in UTC with milliseconds. */
export const timestamp: Effect.Effect<string> = Effect.map(Clock.currentTimeMillis, (millis) =>
  new Date(millis).toISOString()
)
