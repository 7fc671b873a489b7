/**
 * Limits how many requests per second the hub accepts. Responses tell the client its limit, the requests that are left,
 * and when all of them are available again: `X-RateLimit-Limit`, `-Remaining`, `-Reset` (seconds since 1970).
 */
import { Clock, Effect, Option, type Redacted, Schema } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { hasToken } from "./Auth.ts"
import { AuthToken } from "../workspace/AuthToken.ts"
import { refusal } from "./Failures.ts"

/** Requests per second. The same number may arrive at once. */
export interface RateLimits {
  /** For one client: all requests from one address with the token, or all without. Default 100. */
  readonly perClient?: number
  /** For all clients together. Default 1,000. */
  readonly total?: number
}

/** The limit is below one request per second, or not finite. */
export class RateLimitRefused extends Schema.TaggedError<RateLimitRefused>("@agentlip/hub/RateLimitRefused")(
  "RateLimitRefused",
  { limit: Schema.Number }
) {
  override get message(): string {
    return `A rate limit must be at least 1 request a second, not ${this.limit}.`
  }
}

/** A token bucket that holds the tokens of one second and refills in one second. Times are in milliseconds. */
class Bucket {
  readonly limit: number
  #tokens: number
  #at: number

  constructor(limit: number, now: number) {
    this.limit = limit
    this.#tokens = limit
    this.#at = now
  }

  isFull(now: number): boolean {
    this.#refill(now)
    return this.#tokens >= this.limit
  }

  /** Whole tokens, as of the last call. */
  get remaining(): number {
    return Math.floor(this.#tokens)
  }

  /** Milliseconds from the last call until the bucket is full. */
  get millisUntilFull(): number {
    return ((this.limit - this.#tokens) * 1_000) / this.limit
  }

  /** Spends a token and returns 0, or returns the milliseconds until there is one. */
  spend(now: number): number {
    this.#refill(now)
    if (this.#tokens < 1) return ((1 - this.#tokens) * 1_000) / this.limit
    this.#tokens--
    return 0
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.limit, this.#tokens + ((now - this.#at) * this.limit) / 1_000)
    this.#at = now
  }
}

/** From this many clients on, clients with a full bucket are forgotten before a new one is added. */
const manyClients = 1_024

const tooMany = (retryAfterMillis: number, limit: number) => {
  // The header holds whole seconds.
  const seconds = Math.max(1, Math.ceil(retryAfterMillis / 1_000))
  return refusal("RATE_LIMITED", `Too many requests; try again in ${seconds} s`, {
    details: { limit, window: "1s", retry_after: seconds },
    headers: { "retry-after": String(seconds) }
  })
}

/**
 * Separates requests with and without the token, so that a local user without it cannot use up the limit of the
 * others.
 */
const clientOf = (request: HttpServerRequest.HttpServerRequest, token: Redacted.Redacted<string>): string => {
  const address = Option.getOrElse(request.remoteAddress, () => "unknown")
  // A wrong token counts as no token. Otherwise each wrong token would get a limit of its own.
  return `${address} ${hasToken(request, token) ? "token" : "no token"}`
}

/** Health checks are never limited. */
export const isHealth = ({ url }: { readonly url: string }): boolean => /^\/health(?:$|[?#])/.test(url)

type Limited = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>

/** Limits a handler. Requests over the client's limit do not count towards the total. `false` disables limits. */
export const make = Effect.fnUntraced(function* (limits: RateLimits | false) {
  const unlimited: Limited = (handler) => handler
  if (limits === false) return unlimited
  const { perClient = 100, total = 1_000 } = limits
  for (const limit of [perClient, total]) {
    if (!(limit >= 1 && Number.isFinite(limit))) return yield* new RateLimitRefused({ limit })
  }
  const token = yield* AuthToken
  // Use the monotonic clock: if the wall clock is set back, no bucket would refill until it has caught up.
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

  const headersOf = (bucket: Bucket) => ({
    "x-ratelimit-limit": String(bucket.limit),
    "x-ratelimit-remaining": String(bucket.remaining),
    "x-ratelimit-reset": String(Math.ceil((clock.currentTimeMillisUnsafe() + bucket.millisUntilFull) / 1_000))
  })

  const limited: Limited = (handler) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      if (isHealth(request)) return handler
      const now = millis()
      const own = bucketOf(clientOf(request, token), now)
      const ownWait = own.spend(now)
      const wait = ownWait || all.spend(now)
      const counted = wait > ownWait ? all : own
      const headers = headersOf(counted)
      return Effect.map(
        wait > 0 ? Effect.succeed(tooMany(wait, counted.limit)) : handler,
        HttpServerResponse.setHeaders(headers)
      )
    })
  return limited
})
