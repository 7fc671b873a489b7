/**
 * A circuit breaker for each plugin name: after a few failures in a row a plugin is left alone for a while,
 * then one probe finds out whether it has recovered.
 *
 * **Details**
 *
 * - A success sets the count to 0; any failure counts, defects too (they are raised again as they came).
 * - Interruption counts nothing and frees the probe's place. So does `CIRCUIT_OPEN` of a breaker inside: nothing was
 *   executed.
 * - Admission and result are one atomic step each: at most one probe, no lost count, and a run that was
 *   admitted before a transition changes nothing after it.
 *
 * **Gotchas**
 *
 * - Put a timeout inside `protect`: outside, it is an interruption and counts nothing.
 * - The state lives in the Layer: it is gone with it and not shared with other processes.
 *
 * | default | |
 * | --- | --- |
 * | `failureThreshold` | 3 |
 * | `cooldown` | 60 seconds |
 */
import {
  Cause,
  Clock,
  Context,
  Effect,
  Exit,
  Layer,
  MutableRef,
  Option,
  PubSub,
  Ref,
  Stream,
  type Take
} from "effect"
import * as Circuit from "./breaker/Circuit.ts"
import { type BreakerOptions, defaultPolicy, makePolicy } from "./breaker/Policy.ts"
import { CircuitOpen } from "./Errors.ts"
import type { BreakerPolicy } from "./Plugin.ts"

export type { BreakerState, Closed, HalfOpen, Open } from "./breaker/Circuit.ts"
export { type BreakerOptions, InvalidBreakerPolicy } from "./breaker/Policy.ts"

/** One circuit went from one state to another. */
export interface BreakerChange {
  readonly name: string
  readonly from: Circuit.BreakerState
  readonly to: Circuit.BreakerState
}

/** Leave to run, until it is said how it ended. */
export interface Pass {
  /** Whether the circuit is still as it was at admission; if not, the pass no longer counts. */
  readonly isCurrent: () => boolean
  readonly leave: (exit: Exit.Exit<unknown, unknown>, now: number) => Effect.Effect<void>
}

/** Protects callers from plugins that keep failing. */
export class CircuitBreaker extends Context.Service<
  CircuitBreaker,
  {
    /**
     * Runs an effect through the circuit of that name, or fails with `CIRCUIT_OPEN` without running it;
     * `retryAfter` is what is left of the cooldown, or a second at most while a probe runs.
     *
     * `policy` overrides the Layer's for this name from here on, whatever it leaves out being the Layer's;
     * without one the name keeps the policy it has. Dies with `InvalidBreakerPolicy`.
     *
     * @example
     * ```ts
     * const guarded = fetchIssues.pipe(breaker.protect("issues", { failureThreshold: 5 }))
     * ```
     */
    readonly protect: (
      name: string,
      policy?: BreakerOptions
    ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | CircuitOpen, R>
    /**
     * Admits one run at the time `now` (milliseconds since the epoch); its caller says once, by the pass, how it ended.
     * For callers that run no effect in between; others use `protect`. If the run has to wait before it starts, ask the
     * pass again then.
     */
    readonly enter: (
      name: string,
      policy: BreakerOptions | undefined,
      now: number
    ) => Effect.Effect<Pass, CircuitOpen>
    /** Fails as `protect` would right now, and changes nothing. */
    readonly check: (name: string) => Effect.Effect<void, CircuitOpen>
    /** A name that was never used is closed. */
    readonly state: (name: string) => Effect.Effect<Circuit.BreakerState>
    /** Every circuit that was used, as they are at one moment. */
    readonly states: Effect.Effect<ReadonlyMap<string, Circuit.BreakerState>>
    /**
     * Transitions from the moment of subscription on, in order; ends with the Layer. A subscriber that falls
     * 256 behind loses the oldest: it never holds a run up.
     */
    readonly changes: Stream.Stream<BreakerChange>
    /** Opens the circuit now, for a whole cooldown, whatever its count; runs in flight no longer matter to it. */
    readonly trip: (name: string) => Effect.Effect<void>
    /** Closes the circuit with a count of 0; runs in flight no longer matter to it. */
    readonly reset: (name: string) => Effect.Effect<void>
  }
>()("@agentlip/plugin-runtime/CircuitBreaker") {
  /**
   * Circuits in the memory of this process. Dies with `InvalidBreakerPolicy`.
   *
   * @example
   * ```ts
   * PluginRuntime.layer.pipe(Layer.provide(CircuitBreaker.layer({ failureThreshold: 3, cooldown: "60 seconds" })))
   * ```
   */
  static readonly layer = (options: BreakerOptions = {}): Layer.Layer<CircuitBreaker> =>
    Layer.effect(
      CircuitBreaker,
      Effect.suspend(() => make(options))
    )
}

/** How a run's end counts to its circuit; for breakers of your own. */
export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Circuit.Outcome => {
  if (Exit.isSuccess(exit)) return "success"
  if (Cause.hasInterruptsOnly(exit.cause)) return "ignored"
  const error = Cause.findErrorOption(exit.cause)
  // It executed nothing.
  return Option.isSome(error) && error.value instanceof CircuitOpen ? "ignored" : "failure"
}

const refusal = (name: string, { failures, retryAfter }: Circuit.Refusal): CircuitOpen =>
  new CircuitOpen({ plugin: name, failures, retryAfter })

const make = Effect.fnUntraced(function* (options: BreakerOptions) {
  const basePolicy = makePolicy(options, defaultPolicy)
  /** Specs keep their options from run to run, so they are checked once. */
  const policies = new WeakMap<BreakerOptions, BreakerPolicy>()
  const circuits = new Map<string, Ref.Ref<Circuit.Circuit>>()
  const changes = yield* Effect.acquireRelease(PubSub.sliding<Take.Take<BreakerChange>>(256), (pubsub) =>
    PubSub.end(pubsub, Exit.void)
  )

  const policyOf = (options: BreakerOptions): BreakerPolicy => {
    const known = policies.get(options)
    if (known !== undefined) return known
    const policy = makePolicy(options, basePolicy)
    policies.set(options, policy)
    return policy
  }

  const circuitOf = (name: string): Ref.Ref<Circuit.Circuit> => {
    const known = circuits.get(name)
    if (known !== undefined) return known
    const circuit = Ref.makeUnsafe(Circuit.make(basePolicy))
    circuits.set(name, circuit)
    return circuit
  }

  /** One atomic step of a circuit, announced within it: later, two fibers could announce in the wrong order. */
  const step = <A>(
    name: string,
    now: number,
    transition: (circuit: Circuit.Circuit, now: number) => readonly [A, Circuit.Circuit]
  ): A => {
    const ref = circuitOf(name)
    const before = Ref.getUnsafe(ref)
    const [answer, after] = transition(before, now)
    if (after === before) return answer
    MutableRef.set(ref.ref, after)
    if (after.state._tag !== before.state._tag) {
      // A sliding PubSub never waits, so that this can be part of the step.
      Effect.runSync(PubSub.publish(changes, [{ name, from: before.state, to: after.state }]))
    }
    return answer
  }

  const update = (
    name: string,
    transition: (circuit: Circuit.Circuit, now: number) => Circuit.Circuit
  ): Effect.Effect<void> =>
    Clock.clockWith((clock) =>
      Effect.sync(() =>
        step(name, clock.currentTimeMillisUnsafe(), (circuit, now) => [undefined, transition(circuit, now)])
      )
    )

  const enter = (
    name: string,
    options: BreakerOptions | undefined,
    now: number
  ): Effect.Effect<Pass, CircuitOpen> => {
    const admission = step(name, now, (circuit, now) =>
      Circuit.admit(options === undefined ? circuit : Circuit.withPolicy(circuit, policyOf(options)), now)
    )
    if (!admission.admitted) return Effect.fail(refusal(name, admission))
    return Effect.succeed<Pass>({
      isCurrent: () => Ref.getUnsafe(circuitOf(name)).generation === admission.generation,
      leave: (exit, now) => {
        step(name, now, (circuit, now) => [
          undefined,
          Circuit.record(circuit, admission.generation, outcomeOf(exit), now)
        ])
        return Effect.void
      }
    })
  }

  return CircuitBreaker.of({
    enter,
    protect:
      (name, options) =>
      <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Clock.clockWith((clock) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(
              Effect.suspend(() => enter(name, options, clock.currentTimeMillisUnsafe())),
              (pass): Effect.Effect<A, E | CircuitOpen, R> =>
                Effect.onExit(restore(effect), (exit) => pass.leave(exit, clock.currentTimeMillisUnsafe()))
            )
          )
        ),
    check: (name) =>
      Clock.clockWith((clock) => {
        const circuit = circuits.get(name)
        if (circuit === undefined) return Effect.void
        const [admission] = Circuit.admit(Ref.getUnsafe(circuit), clock.currentTimeMillisUnsafe())
        return admission.admitted ? Effect.void : Effect.fail(refusal(name, admission))
      }),
    state: (name) =>
      Effect.suspend(() => {
        const circuit = circuits.get(name)
        return circuit === undefined
          ? Effect.succeed(Circuit.make(basePolicy).state)
          : Effect.map(Ref.get(circuit), ({ state }) => state)
      }),
    states: Effect.sync(
      () => new Map(Array.from(circuits, ([name, circuit]) => [name, Ref.getUnsafe(circuit).state]))
    ),
    changes: Stream.fromPubSubTake(changes),
    trip: (name) => update(name, Circuit.trip),
    reset: (name) => update(name, Circuit.reset)
  })
})
