/**
 * `Idempotency-Key`: a write that a client sends again, because it never saw the answer, is answered as it was the
 * first time and not done again.
 *
 * **Details**
 *
 * - The answer is kept in the transaction of the change: a crash leaves both or neither.
 * - A refusal changes nothing and is not kept; the same key may be tried again.
 * - Of two requests that come at once with one key, the second waits for the first.
 * - The deletion of a message puts its tombstone into the answers that hold it; see KeptAnswers.ts.
 */
import { Clock, Duration, Effect, Layer, Schedule } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { SqlClient } from "effect/sql"
import { createHash } from "node:crypto"
import { Idempotency, InvalidInput } from "@agentlip/protocol"
import { bodyText } from "./Failures.ts"
import { messageIdIn } from "../messages/KeptAnswers.ts"
import { timestamp } from "../timestamp.ts"

/** How long an answer is kept. */
const keptFor = Duration.hours(24)
const sweepEvery = Duration.hours(1)

const isKey = (key: string): boolean => /^[\x21-\x7e]{1,255}$/.test(key)

/** The route's path: to the router `/API/v1/%6dessages/` is `/api/v1/messages`, and so it is to a key. */
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
          // No digest: the message was deleted since.
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
      // They are only in the way; the next sweep takes them.
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
        // All of it has come before anything is begun: nobody's slow line is to hold a transaction open.
        const body = yield* Effect.orDie(request.text)
        return yield* once(`${request.method} ${yield* canonicalPath} ${key}`, handler, digestOf(body))
      })
    )
  })
)
