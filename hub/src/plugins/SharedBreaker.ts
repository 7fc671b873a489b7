/**
 * Keeps the circuits of breakers in Redis: hubs with the same Redis count a plugin's failures together, open its
 * breaker together, and send one probe. The breaker is the library's; this module is its store.
 *
 * **Details**
 *
 * - A step reads the circuit and replaces it if it has not changed meanwhile; otherwise it starts again.
 * - Times are Redis's, so that hubs with different clocks agree on when a probe is due.
 * - The policy is not stored: each hub has its own.
 * - The place of a probe whose process died is freed after a minute. An unused circuit is kept for an hour.
 */
import {
  type BreakerOptions,
  type BreakerStore,
  type Circuit,
  CircuitBreaker,
  type Step,
  type StepOf,
  StoreUnreachable
} from "@agentlip/plugin-runtime"
import { NodeRedis } from "@effect/platform-node"
import { Duration, Effect, Layer, Option, Redacted, Schema } from "effect"
import { Redis } from "effect/persistence"

/** Redis cannot be reached, or it rejects the hub. */
export class RedisUnusable extends Schema.TaggedError<RedisUnusable>("@agentlip/hub/RedisUnusable")(
  "RedisUnusable",
  { reason: Schema.String }
) {
  override get message(): string {
    return `The hub cannot use Redis: ${this.reason}; is it running, and is the URL redis://USER:PASSWORD@HOST:PORT?`
  }
}

const prefix = "agentlip:breaker:"
const probeLease = Duration.toMillis("1 minute")
const keptFor = Duration.toMillis("1 hour")

/** The longest time that a run waits for Redis. */
const patience = Duration.seconds(1)

/** Reads circuits, and Redis's time in milliseconds. */
const readScript = Redis.script((...keys: ReadonlyArray<string>) => keys, {
  numberOfKeys: (...keys) => keys.length,
  lua: `
    local time = redis.call("TIME")
    return { redis.call("MGET", unpack(KEYS)), time[1] * 1000 + math.floor(time[2] / 1000) }`
}).withReturnType<readonly [ReadonlyArray<string | null>, number]>()

/** Replaces a circuit unless it has changed meanwhile. */
const replaceScript = Redis.script(
  (key: string, before: string, after: string, keptFor: number) => [key, before, after, keptFor],
  {
    numberOfKeys: 1,
    lua: `
      if (redis.call("GET", KEYS[1]) or "") ~= ARGV[1] then return 0 end
      redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3])
      return 1`
  }
).withReturnType<number>()

const failures = Schema.Int

/** The stored form of a circuit. Times are Redis's. `since` is when the probe was admitted. */
const Kept = Schema.fromJsonString(
  Schema.Struct({
    generation: Schema.Int,
    // Missing in circuits stored by an earlier version.
    forgiven: Schema.optionalKey(Schema.Int),
    state: Schema.Union([
      Schema.Struct({ _tag: Schema.Literal("Closed"), failures }),
      Schema.Struct({ _tag: Schema.Literal("Open"), failures, until: Schema.Finite }),
      Schema.Struct({
        _tag: Schema.Literal("HalfOpen"),
        failures,
        probing: Schema.Boolean,
        since: Schema.Finite
      })
    ])
  })
)
const decodeKept = Schema.decodeUnknownOption(Kept)
const encodeKept = Schema.encodeSync(Kept)

/** Decodes a circuit. `time` is Redis's clock and `now` this process's, at the same moment. */
const circuitOf = (
  text: string,
  policy: Circuit["policy"],
  { time, now }: { readonly time: number; readonly now: number }
): Circuit => {
  // An unknown format or a missing circuit counts as a circuit that was never used.
  const kept = Option.getOrElse(decodeKept(text), (): typeof Kept.Type => ({
    generation: 0,
    state: { _tag: "Closed", failures: 0 }
  }))
  const { generation, forgiven = 0, state } = kept
  switch (state._tag) {
    case "Closed":
      return { policy, generation, forgiven, state }
    case "Open":
      return { policy, generation, forgiven, state: { ...state, until: state.until - time + now } }
    case "HalfOpen": {
      const { _tag, failures, since } = state
      return {
        policy,
        generation,
        forgiven,
        state: { _tag, failures, probing: state.probing && time < since + probeLease }
      }
    }
  }
}

const textOf = (
  { generation, forgiven, state }: Circuit,
  { time, now }: { readonly time: number; readonly now: number }
): string => {
  switch (state._tag) {
    case "Closed":
      return encodeKept({ generation, forgiven, state })
    case "Open":
      return encodeKept({ generation, forgiven, state: { ...state, until: state.until - now + time } })
    case "HalfOpen":
      return encodeKept({ generation, forgiven, state: { ...state, since: time } })
  }
}

const makeStore = Effect.gen(function* () {
  const redis = yield* Redis.Redis
  const readAll = redis.eval(readScript)
  const replace = redis.eval(replaceScript)

  /** Limits the time for Redis, even if the caller cannot be interrupted. */
  const asked = <A>(question: Effect.Effect<A, Redis.RedisError>): Effect.Effect<A, StoreUnreachable> =>
    Effect.mapError(
      Effect.timeout(Effect.interruptible(question), patience),
      (cause) => new StoreUnreachable({ store: "Redis", cause })
    )

  const attempt = <A>(step: StepOf<A>): Effect.Effect<Step<A>, Redis.RedisError> =>
    Effect.gen(function* () {
      const { name, policy, now, transition } = step
      const key = `${prefix}${name}`
      const [[kept], time] = yield* readAll(key)
      const text = kept ?? ""
      const before = circuitOf(text, policy, { time, now })
      const [answer, after] = transition(before, now)
      const done =
        after === before || (yield* replace(key, text, textOf(after, { time, now }), keptFor)) === 1
      return done ? { answer, before, after } : yield* attempt(step)
    })

  const store: BreakerStore = {
    modify: (step) => asked(attempt(step)),
    read: (circuits, now) =>
      circuits.length === 0
        ? Effect.succeed([])
        : Effect.map(asked(readAll(...circuits.map(({ name }) => `${prefix}${name}`))), ([texts, time]) =>
            circuits.map(({ policy }, index) => circuitOf(texts[index] ?? "", policy, { time, now }))
          )
  }
  return store
})

const connected = (url: Redacted.Redacted): Layer.Layer<Redis.Redis, RedisUnusable> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { protocol } = URL.parse(Redacted.value(url)) ?? { protocol: undefined }
      if (protocol !== "redis:" && protocol !== "rediss:") {
        return yield* new RedisUnusable({ reason: "the URL cannot be read" })
      }
      // Without a connection, commands fail at once instead of waiting in a queue.
      const client = NodeRedis.layer({ url: Redacted.value(url), disableOfflineQueue: true })
      const services = yield* Effect.mapError(
        Layer.build(client),
        ({ cause }) => new RedisUnusable({ reason: cause instanceof Error ? cause.message : String(cause) })
      )
      return Layer.succeedContext(services)
    })
  )

/** The version of the Redis at this URL, and how long it takes to answer. Writes nothing. */
export const look = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const redis = yield* Redis.Redis
    const begin = performance.now()
    yield* redis.send("PING")
    const millis = performance.now() - begin
    const info = String(yield* redis.send("INFO", "server"))
    return { version: /^redis_version:(.*?)\r?$/m.exec(info)?.[1] ?? "unknown", millis }
  }).pipe(
    Effect.catchTag("RedisError", ({ cause }) =>
      Effect.fail(new RedisUnusable({ reason: cause instanceof Error ? cause.message : String(cause) }))
    ),
    Effect.provide(connected(url))
  )

/**
 * A breaker with its circuits in the Redis at this URL. The layer fails with `RedisUnusable` if Redis cannot be
 * reached at the start.
 *
 * @example
 * ```ts
 * SharedBreaker.layer(Redacted.make("redis://localhost"), { failureThreshold: 3, cooldown: "60 seconds" })
 * ```
 */
export const layer = (
  url: Redacted.Redacted,
  options: BreakerOptions = {}
): Layer.Layer<CircuitBreaker, RedisUnusable> => {
  return Layer.unwrap(Effect.map(makeStore, (store) => CircuitBreaker.layerStore(store, options))).pipe(
    Layer.provide(connected(url))
  )
}
