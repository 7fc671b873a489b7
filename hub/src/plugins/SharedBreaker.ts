/**
 * The library's `CircuitBreaker` over Effect's store in Redis: hubs that name the same Redis count a plugin's failures
 * together, open its circuit together, and send one probe.
 *
 * **Details**
 *
 * - A run asks Redis before and tells it after. While Redis cannot be reached, runs go through uncounted.
 * - `changes` has the transitions that runs of this process make, and `failures` are those that it has seen.
 * - A probe whose process is gone holds its place for a minute.
 */
import {
  type BreakerChange,
  type BreakerOptions,
  type BreakerState,
  CircuitBreaker,
  CircuitOpen,
  outcomeOf,
  type Pass
} from "@agentlip/plugin-runtime"
import { NodeRedis } from "@effect/platform-node"
import { Clock, Duration, Effect, Layer, PubSub, Redacted, Schema, Stream } from "effect"
import { CircuitBreaker as Circuits, Redis } from "effect/persistence"

/** Redis cannot be reached, or it does not let the hub in. */
export class RedisUnusable extends Schema.TaggedError<RedisUnusable>("@agentlip/hub/RedisUnusable")(
  "RedisUnusable",
  { reason: Schema.String }
) {
  override get message(): string {
    return `The hub cannot use Redis: ${this.reason}; is it running, and is the URL redis://USER:PASSWORD@HOST:PORT?`
  }
}

interface Policy {
  readonly failureThreshold: number
  readonly cooldown: Duration.Duration
}

const prefix = "agentlip:circuit:"
const probeLease = Duration.minutes(1)

/** A run waits for Redis no longer than this. */
const patience = Duration.seconds(1)

/** What a run that meets a probe is told to wait, as the breaker of one process has it. */
const probeWait = Duration.seconds(1)

const outcomes = { success: "Success", failure: "Failure", ignored: "Ignored" } as const

const uncounted: Pass = { isCurrent: () => true, leave: () => Effect.void }

const make = Effect.fnUntraced(function* (base: Policy) {
  const store = yield* Circuits.CircuitBreakerStore
  const redis = yield* Redis.Redis
  const policies = new Map<string, Policy>()
  const failures = new Map<string, number>()
  /** How many transitions of a circuit this process has made. */
  const transitions = new Map<string, number>()
  const changes = yield* Effect.acquireRelease(PubSub.sliding<BreakerChange>(256), PubSub.shutdown)
  let reached = true

  const failuresOf = (name: string): number => failures.get(name) ?? 0
  const policyOf = (name: string): Policy => policies.get(name) ?? base

  const follow = (name: string, options: BreakerOptions | undefined): void => {
    if (options === undefined && policies.has(name)) return
    const { failureThreshold = base.failureThreshold, cooldown = base.cooldown } = options ?? {}
    policies.set(name, { failureThreshold, cooldown: Duration.fromInputUnsafe(cooldown) })
  }

  /** Where Redis cannot be asked, which is logged once until it can be again. */
  const otherwise =
    <B>(answer: B) =>
    <A, E, R>(question: Effect.Effect<A, E, R>): Effect.Effect<A | B, never, R> =>
      question.pipe(
        Effect.timeout(patience),
        Effect.tap(Effect.sync(() => (reached = true))),
        Effect.catch((error) => {
          const first = reached
          reached = false
          return first
            ? Effect.as(Effect.logWarning("Redis cannot be asked; plugins run uncounted", error), answer)
            : Effect.succeed(answer)
        })
      )

  const stateOf = (name: string, state: Circuits.State, now: number): BreakerState => {
    const seen = { failures: failuresOf(name) }
    switch (state._tag) {
      case "Closed":
        return { _tag: "Closed", ...seen }
      case "HalfOpen":
        return { _tag: "HalfOpen", probing: state.probing, ...seen }
      case "Open":
        return { _tag: "Open", until: now + Duration.toMillis(state.retryAfter), ...seen }
    }
  }

  const announce = (name: string, transition: Circuits.Transition | undefined, now: number) => {
    if (transition === undefined) return Effect.void
    transitions.set(name, (transitions.get(name) ?? 0) + 1)
    const { from, to } = transition
    const circuit = { key: name, retryAfter: policyOf(name).cooldown, consecutiveOpenings: 1, probing: true }
    return PubSub.publish(changes, {
      name,
      from: stateOf(name, { _tag: from, ...circuit }, now),
      to: stateOf(name, { _tag: to, ...circuit }, now)
    })
  }

  const refusal = (plugin: string, retryAfter: Duration.Duration): CircuitOpen =>
    new CircuitOpen({ plugin, failures: failuresOf(plugin), retryAfter })

  const record = Effect.fnUntraced(function* (
    key: string,
    { generation }: Circuits.Admission,
    outcome: keyof typeof outcomes,
    threshold: number,
    now: number
  ) {
    if (outcome === "success") failures.delete(key)
    if (outcome === "failure") failures.set(key, failuresOf(key) + 1)
    const told = { key, generation, outcome: outcomes[outcome], openFor: policyOf(key).cooldown }
    const transition = yield* store.record({ ...told, tripPolicy: Circuits.consecutive(threshold) })
    yield* announce(key, transition, now)
  })

  // The place of a probe is not renewed: of a run that is interrupted here nobody would know to give it back.
  const admit = (name: string) => Effect.timeout(Effect.scoped(store.admit(name)), patience)

  const enter = Effect.fnUntraced(function* (name: string, options: BreakerOptions | undefined, now: number) {
    follow(name, options)
    const admission = yield* admit(name).pipe(
      Effect.catch((error) => {
        const reason = error._tag === "TimeoutError" ? error : error.reason
        switch (reason._tag) {
          case "CircuitOpen":
            return Effect.fail(refusal(name, reason.retryAfter))
          case "CircuitHalfOpen":
            return Effect.fail(refusal(name, Duration.min(policyOf(name).cooldown, probeWait)))
          default:
            return otherwise(undefined)(Effect.fail(reason))
        }
      })
    )
    if (admission === undefined) return uncounted
    yield* announce(name, admission.transition, now)
    const seen = transitions.get(name)
    const pass: Pass = {
      isCurrent: () => transitions.get(name) === seen,
      leave: (exit, now) => {
        const { failureThreshold } = policyOf(name)
        return Effect.asVoid(
          otherwise(undefined)(record(name, admission, outcomeOf(exit), failureThreshold, now))
        )
      }
    }
    return pass
  })

  const state = Effect.fnUntraced(function* (name: string) {
    const closed: Circuits.State = { _tag: "Closed", key: name }
    const found = yield* otherwise(closed)(store.state(name))
    return stateOf(name, found, yield* Clock.currentTimeMillis)
  })

  /** The circuit is as if it had never been; runs in flight no longer matter to it. */
  const forget = Effect.fnUntraced(function* (name: string) {
    const before = yield* state(name)
    failures.delete(name)
    yield* redis.send("DEL", `${prefix}${name}`)
    if (before._tag === "Closed") return
    yield* PubSub.publish(changes, { name, from: before, to: yield* state(name) })
  })

  const trip = Effect.fnUntraced(function* (name: string) {
    yield* redis.send("DEL", `${prefix}${name}`)
    yield* record(name, yield* admit(name), "failure", 1, yield* Clock.currentTimeMillis)
  })

  return CircuitBreaker.of({
    enter,
    protect: (name, options) => (effect) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const pass = yield* enter(name, options, yield* Clock.currentTimeMillis)
          return yield* Effect.onExit(restore(effect), (exit) =>
            Effect.flatMap(Clock.currentTimeMillis, (now) => pass.leave(exit, now))
          )
        })
      ),
    check: Effect.fnUntraced(function* (name) {
      const found = yield* state(name)
      const left = found._tag === "Open" ? found.until - (yield* Clock.currentTimeMillis) : 0
      if (left > 0) return yield* refusal(name, Duration.millis(left))
      if (found._tag === "HalfOpen" && found.probing) {
        return yield* refusal(name, Duration.min(policyOf(name).cooldown, probeWait))
      }
    }),
    state,
    states: Effect.suspend(() =>
      Effect.map(
        Effect.forEach([...policies.keys()], (name) =>
          Effect.map(state(name), (found) => [name, found] as const)
        ),
        (all) => new Map(all)
      )
    ),
    changes: Stream.fromPubSub(changes),
    trip: (name) => Effect.asVoid(otherwise(undefined)(trip(name))),
    reset: (name) => Effect.asVoid(otherwise(undefined)(forget(name)))
  })
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
  { failureThreshold = 3, cooldown = "60 seconds" }: BreakerOptions = {}
): Layer.Layer<CircuitBreaker, RedisUnusable> => {
  const base = { failureThreshold, cooldown: Duration.fromInputUnsafe(cooldown) }
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
  return Layer.effect(CircuitBreaker, make(base)).pipe(
    Layer.provide(Circuits.layerStoreRedis({ prefix, probeLease })),
    Layer.provide(connected)
  )
}
