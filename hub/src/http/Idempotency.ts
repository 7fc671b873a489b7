/**
 * `Idempotency-Key`: a client that never saw the response can repeat a write. It gets the first response again, and
 * the write is not repeated.
 *
 * **Details**
 *
 * - The response is stored in the transaction of the change, so a crash leaves both or neither.
 * - An error changes nothing and is not stored, so the same key can be used again.
 * - If two requests with one key arrive at once, the second waits for the first.
 * - When a message is deleted, its tombstone replaces it in the stored responses: see KeptAnswers.ts.
 */
import { Clock, Duration, Effect, Layer, Schedule } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { SqlClient } from "effect/sql"
import { createHash } from "node:crypto"
import { Idempotency, InvalidInput } from "@agentlip/protocol"
import { bodyText } from "./Failures.ts"
import { messageIdIn } from "../messages/KeptAnswers.ts"
import { timestamp } from "../timestamp.ts"

/** How long a response is stored. */
const keptFor = Duration.hours(24)
const sweepEvery = Duration.hours(1)

const isKey = (key: string): boolean => /^[\x21-\x7e]{1,255}$/.test(key)

/** The path as the router sees it: `/API/v1/%6dessages/` is `/api/v1/messages`, and must give the same key. */
const canonicalPath = Effect.map(HttpRouter.RouteContext, ({ route, params }) =>
  route.path.replaceAll(/:(\w+)/g, (_, name: string) => params[name] ?? "")
)

const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex")

interface KeptAnswer {
  readonly body_digest: string
  readonly status: number
  readonly answer: string
}

const replay = ({ status, answer }: KeptAnswer): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(answer, {
    status,
    contentType: "application/json",
    headers: { "idempotency-replayed": "true" }
  })

export const IdempotencyLive: Layer.Layer<Idempotency, never, SqlClient.SqlClient> = Layer.effect(
  Idempotency,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient

    const once = <E, R>(
      key: string,
      handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
      body_digest: string
    ) =>
      Effect.gen(function* () {
        const created_at = yield* timestamp
        const begun = yield* sql`
          INSERT INTO idempotency_keys (key, body_digest, status, answer, created_at)
          VALUES (${key}, ${body_digest}, 0, '', ${created_at})
          ON CONFLICT (key) DO NOTHING RETURNING key`
        if (begun.length === 0) {
          const [kept] = yield* sql<KeptAnswer>`
            SELECT body_digest, status, answer FROM idempotency_keys WHERE key = ${key}`
          // An empty digest: the message was deleted since.
          if (kept?.body_digest === body_digest || kept?.body_digest === "") return replay(kept)
          return yield* new InvalidInput({
            error: "Idempotency-Key: it came with another body before; take a new key for another request"
          })
        }
        const response = yield* handler
        const answer = bodyText(response) ?? ""
        yield* sql`
          UPDATE idempotency_keys
          SET status = ${response.status}, answer = ${answer}, message_id = ${messageIdIn(answer)}
          WHERE key = ${key}`
        return response
      }).pipe(sql.withTransaction, Effect.catchTag("SqlError", Effect.die))

    const forget = Effect.gen(function* () {
      const since = (yield* Clock.currentTimeMillis) - Duration.toMillis(keptFor)
      yield* sql`DELETE FROM idempotency_keys WHERE created_at < ${new Date(since).toISOString()}`
    })
    yield* forget.pipe(
      // Old keys do no harm; the next sweep removes them.
      Effect.catch((error) => Effect.logWarning("old idempotency keys could not be removed", error)),
      Effect.repeat(Schedule.spaced(sweepEvery)),
      Effect.forkScoped
    )

    return Idempotency.of((handler) =>
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const key = request.headers["idempotency-key"]
        if (key === undefined) return yield* handler
        if (!isKey(key)) {
          return yield* new InvalidInput({
            error: "Idempotency-Key: must be 1 to 255 visible ASCII characters"
          })
        }
        // Read the whole body first, so that a slow client never holds a transaction open.
        const body = yield* Effect.orDie(request.text)
        return yield* once(`${request.method} ${yield* canonicalPath} ${key}`, handler, digestOf(body))
      })
    )
  })
)
