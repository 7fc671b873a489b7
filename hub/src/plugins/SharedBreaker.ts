/**
 * Circuits in Redis: hubs that name the same Redis count a plugin's failures together, open its circuit together, and
 * send one probe. The breaker is the library's; this is its store.
 *
 * **Details**
 *
 * - A step reads the circuit and puts the next one in its place if it is still the same, or begins anew.
 * - Times are Redis's: hubs whose clocks differ agree on when a circuit may be tried.
 * - A circuit holds no policy: each hub has its own.
 * - A probe whose process is gone holds its place for a minute, and a circuit that nobody uses is kept for an hour.
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

/** Redis cannot be reached, or it does not let the hub in. */
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

/** A run waits for Redis no longer than this. */
const patience = Duration.seconds(1)

/** Circuits as Redis has them, and Redis's time in milliseconds. */
const readScript = Redis.script((...keys: ReadonlyArray<string>) => keys, {
  numberOfKeys: (...keys) => keys.length,
  lua: `
    local time = redis.call("TIME")
    return { redis.call("MGET", unpack(KEYS)), time[1] * 1000 + math.floor(time[2] / 1000) }`
}).withReturnType<readonly [ReadonlyArray<string | null>, number]>()

/** Puts one circuit in the place of another, unless that is no longer there. */
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

/** Times are Redis's. `since`: when the probe was let in. */
const Kept = Schema.fromJsonString(
  Schema.Struct({
    generation: Schema.Int,
    // Absent in what an earlier version kept.
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

/** A circuit out of its text; `time` is Redis's and `now` that of this process, at the same moment. */
const circuitOf = (
  text: string,
  policy: Circuit["policy"],
  { time, now }: { readonly time: number; readonly now: number }
): Circuit => {
  // What nobody understands (another version's, or nothing) is a circuit that was never used.
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

  /** In time or not at all, also where its caller must not be interrupted. */
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

/**
 * Circuits in the Redis of this URL. The layer fails with `RedisUnusable` where it cannot be reached at the start.
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
  const connected = Layer.unwrap(
    Effect.gen(function* () {
      const { protocol } = URL.parse(Redacted.value(url)) ?? { protocol: undefined }
      if (protocol !== "redis:" && protocol !== "rediss:") {
        return yield* new RedisUnusable({ reason: "the URL cannot be read" })
      }
      // Whatever is asked while there is no connection fails at once, so that nobody waits for it.
      const client = NodeRedis.layer({ url: Redacted.value(url), disableOfflineQueue: true })
      const services = yield* Effect.mapError(
        Layer.build(client),
        ({ cause }) => new RedisUnusable({ reason: cause instanceof Error ? cause.message : String(cause) })
      )
      return Layer.succeedContext(services)
    })
  )
  return Layer.unwrap(Effect.map(makeStore, (store) => CircuitBreaker.layerStore(store, options))).pipe(
    Layer.provide(connected)
  )
}
