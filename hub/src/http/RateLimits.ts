/** How many requests a hub takes in a second. */
import { Clock, Effect, Option, type Redacted, Schema } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import { hasToken } from "./Auth.ts"
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

/** Holds as many tokens as may be spent in a second, and gets them back in a second. Times are in milliseconds. */
class Bucket {
  readonly #limit: number
  #tokens: number
  #at: number

  constructor(limit: number, now: number) {
    this.#limit = limit
    this.#tokens = limit
    this.#at = now
  }

  isFull(now: number): boolean {
    this.#refill(now)
    return this.#tokens >= this.#limit
  }

  /** Spends a token and returns 0, or returns how long it takes until there is one. */
  spend(now: number): number {
    this.#refill(now)
    if (this.#tokens < 1) return ((1 - this.#tokens) * 1_000) / this.#limit
    this.#tokens--
    return 0
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.#limit, this.#tokens + ((now - this.#at) * this.#limit) / 1_000)
    this.#at = now
  }
}

/** Clients that are remembered before those are forgotten that have not asked for a second. */
const manyClients = 1_024

const tooMany = (retryAfterMillis: number) => {
  // Whole seconds are what the header can say.
  const seconds = Math.max(1, Math.ceil(retryAfterMillis / 1_000))
  return refusal(429, "RATE_LIMITED", `Too many requests; try again in ${seconds} s`, {
    "retry-after": String(seconds)
  })
}

/** An address with the token and without are two clients: who does not know the token locks nobody out who does. */
const clientOf = (request: HttpServerRequest.HttpServerRequest, token: Redacted.Redacted<string>): string => {
  const address = Option.getOrElse(request.remoteAddress, () => "unknown")
  // Wrong tokens are not told apart, or each would be a client with a limit of its own.
  return `${address} ${hasToken(request, token) ? "token" : "no token"}`
}

/** Whoever watches the hub learns that it lives, however much others ask of it. */
const isHealth = ({ url }: HttpServerRequest.HttpServerRequest): boolean => /^\/health(?:$|[?#])/.test(url)

type Limited = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>

/** Puts limits around a handler; a request over a client's limit does not count. `false` sets none. */
export const make = Effect.fnUntraced(function* (limits: RateLimits | false) {
  const unlimited: Limited = (handler) => handler
  if (limits === false) return unlimited
  const { perClient = 100, total = 1_000 } = limits
  for (const limit of [perClient, total]) {
    if (!(limit >= 1 && Number.isFinite(limit))) return yield* new RateLimitRefused({ limit })
  }
  const token = yield* AuthToken
  // The wall clock may be set back, and then nobody would have a token until it has caught up.
  const clock = yield* Clock.Clock
  const millis = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const all = new Bucket(total, millis())
  const buckets = new Map<string, Bucket>()

  const bucketOf = (client: string, now: number): Bucket => {
    const known = buckets.get(client)
    if (known !== undefined) return known
    if (buckets.size >= manyClients) {
      for (const [name, bucket] of buckets) if (bucket.isFull(now)) buckets.delete(name)
    }
    const bucket = new Bucket(perClient, now)
    buckets.set(client, bucket)
    return bucket
  }

  const limited: Limited = (handler) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      if (isHealth(request)) return handler
      const now = millis()
      const wait = bucketOf(clientOf(request, token), now).spend(now) || all.spend(now)
      return wait > 0 ? Effect.succeed(tooMany(wait)) : handler
    })
  return limited
})
