/** How many requests a hub takes in a second. */
import { Duration, Effect, Layer, Option, Redacted, Schema } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import { RateLimiter } from "effect/persistence"
import { isToken } from "./Auth.ts"
import { AuthToken } from "../workspace/AuthToken.ts"
import { refusal } from "./Failures.ts"

/** Requests a second; as many may come at once. */
export interface RateLimits {
  /** Of one client: what comes from one address, with the hub's token or without. Default 100. */
  readonly perClient?: number
  /** Of all clients together. Default 1,000. */
  readonly total?: number
}

/** A limit of less than one request a second would let nothing through. */
export class RateLimitRefused extends Schema.TaggedError<RateLimitRefused>("@agentlip/hub/RateLimitRefused")(
  "RateLimitRefused",
  { limit: Schema.Number }
) {
  override get message(): string {
    return `A rate limit must be at least 1 request a second, not ${this.limit}.`
  }
}

const window = "1 second"

const tooMany = (retryAfter: Duration.Duration) => {
  // Whole seconds are what the header can say.
  const seconds = Math.max(1, Math.ceil(Duration.toSeconds(retryAfter)))
  return refusal(429, "RATE_LIMITED", `Too many requests; try again in ${seconds} s`, {
    "retry-after": String(seconds)
  })
}

/** An address with the token and without are two clients: who does not know the token locks nobody out who does. */
const clientOf = (request: HttpServerRequest.HttpServerRequest, token: Redacted.Redacted<string>): string => {
  const address = Option.getOrElse(request.remoteAddress, () => "unknown")
  const given = /^Bearer +(.*)$/i.exec(request.headers["authorization"] ?? "")?.[1]
  // Wrong tokens are not told apart, or each would be a client with a limit of its own.
  return `${address} ${given !== undefined && isToken(token, given) ? "token" : "no token"}`
}

type Limited = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>

/** What puts limits around a handler; what is over a client's limit does not count. `false` sets none. */
export const make = Effect.fnUntraced(
  function* (limits: RateLimits | false) {
    const unlimited: Limited = (handler) => handler
    if (limits === false) return unlimited
    const { perClient = 100, total = 1_000 } = limits
    for (const limit of [perClient, total]) {
      if (!(limit >= 1 && Number.isFinite(limit))) return yield* new RateLimitRefused({ limit })
    }
    const limiter = yield* RateLimiter.RateLimiter
    const token = yield* AuthToken
    const consume = (key: string, limit: number) =>
      limiter.consume({ algorithm: "token-bucket", onExceeded: "fail", window, key, limit })
    const limited: Limited = (handler) =>
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const refused = yield* consume(`client ${clientOf(request, token)}`, perClient).pipe(
          Effect.andThen(consume("total", total)),
          Effect.as(undefined),
          Effect.catch(({ reason }) =>
            // The other reason is a store that fails; this one is a Map.
            reason._tag === "RateLimitExceeded"
              ? Effect.succeed(tooMany(reason.retryAfter))
              : Effect.die(reason)
          )
        )
        return refused ?? (yield* handler)
      })
    return limited
  },
  Effect.provide(RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory)))
)
