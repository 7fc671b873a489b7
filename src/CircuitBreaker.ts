/**
 * A circuit breaker for each plugin name: after a few failures in a row, the plugin's runs are refused for a while.
 * Then one run, the probe, finds out whether the plugin has recovered.
 *
 * **Details**
 *
 * - A success sets the count of failures to 0. Every failure counts, defects too (they are raised again).
 * - If an isolate crashes after a run has returned and before the next run begins, that run counts as a failure
 *   instead of a success.
 * - Interruption counts nothing and frees the probe's place. So does `CIRCUIT_OPEN` of a breaker inside: nothing was
 *   executed.
 * - Admission and result are one atomic step each: there is at most one probe, no count is lost, and a run that was
 *   admitted before a transition changes nothing after it.
 *
 * **Gotchas**
 *
 * - Put a timeout inside `protect`: outside, it is an interruption and counts nothing.
 * - Only failures in a row open a circuit. A plugin whose isolate crashes after every second run has a good run
 *   between any two crashes: its circuit stays closed, and each crash costs a boot and a warning in the log.
 * - With `reuse: "never"` an isolate ends after its run. What it does after it has returned is not observed, so a
 *   crash then counts nothing.
 * - `layer` keeps circuits in memory: they are gone with it and not shared with other processes. `layerStore` keeps
 *   them in a store of your own.
 *
 * | default | |
 * | --- | --- |
 * | `failureThreshold` | 3 |
 * | `cooldown` | 60 seconds |
 */
import { Clock, Context, Effect, Exit, Layer, type Stream } from "effect"
import { type BreakerChange, makeChanges } from "./breaker/Changes.ts"
import * as Circuit from "./breaker/Circuit.ts"
import { Circuits, type KnownCircuit } from "./breaker/Circuits.ts"
import { CircuitPass, type Pass, uncounted } from "./breaker/Pass.ts"
import { type BreakerOptions, defaultPolicy, makePolicy } from "./breaker/Policy.ts"
import { type BreakerStore, makeMemory } from "./breaker/Store.ts"
import { CircuitOpen } from "./Errors.ts"

export type { BreakerChange } from "./breaker/Changes.ts"
export type { BreakerState, Circuit, Closed, HalfOpen, Open } from "./breaker/Circuit.ts"
export type { Pass } from "./breaker/Pass.ts"
export { type BreakerOptions, InvalidBreakerPolicy } from "./breaker/Policy.ts"
export { type BreakerStore, type Step, type StepOf, StoreUnreachable } from "./breaker/Store.ts"

const refusal = (name: string, { failures, retryAfter }: Circuit.Refusal): CircuitOpen =>
  new CircuitOpen({ plugin: name, failures, retryAfter })

/** Protects callers from plugins that keep failing. */
export class CircuitBreaker extends Context.Service<
  CircuitBreaker,
  {
    /**
     * Runs an effect through the circuit of a name, or fails with `CIRCUIT_OPEN` without running it. `retryAfter` is
     * the rest of the cooldown, or at most a second while a probe runs.
     *
     * `policy` overrides the Layer's for this name from now on; options that it leaves out are the Layer's. Without
     * it the name keeps its policy. Dies with `InvalidBreakerPolicy`.
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
     * Admits one run when the effect runs; `now` is in milliseconds since the epoch. The caller must report once, with
     * the pass, how the run ended: use `protect` unless you cannot. If the run has to wait before it starts, ask the
     * pass again then.
     */
    readonly enter: (
      name: string,
      policy: BreakerOptions | undefined,
      now: number
    ) => Effect.Effect<Pass, CircuitOpen>
    /** The same, at once; absent if the store has to be waited for. */
    readonly enterNow?: (
      name: string,
      policy: BreakerOptions | undefined,
      now: number
    ) => Exit.Exit<Pass, CircuitOpen>
    /** Fails if `protect` would fail now. Changes nothing. */
    readonly check: (name: string) => Effect.Effect<void, CircuitOpen>
    /** A name that was never used is closed. */
    readonly state: (name: string) => Effect.Effect<Circuit.BreakerState>
    /** All circuits that were used, read at one moment. */
    readonly states: Effect.Effect<ReadonlyMap<string, Circuit.BreakerState>>
    /**
     * Transitions from the subscription on, in order; ends with the Layer. It never holds up a run: a subscriber that
     * is 256 changes behind loses the oldest.
     */
    readonly changes: Stream.Stream<BreakerChange>
    /** Opens the circuit now, for a whole cooldown. Runs in progress no longer count in it. */
    readonly trip: (name: string) => Effect.Effect<void>
    /** Closes the circuit and sets its count to 0. Runs in progress no longer count in it. */
    readonly reset: (name: string) => Effect.Effect<void>
  }
>()("@agentlip/plugin-runtime/CircuitBreaker") {
  /** Makes the service over a store. Dies with `InvalidBreakerPolicy`. */
  static readonly make = Effect.fnUntraced(function* (store: BreakerStore, options: BreakerOptions) {
    const changes = yield* makeChanges
    const circuits = new Circuits(store, makePolicy(options, defaultPolicy), changes)

    const passOf = (circuit: KnownCircuit, admission: Circuit.Admission): Exit.Exit<Pass, CircuitOpen> =>
      admission.admitted
        ? Exit.succeed(new CircuitPass(admission.generation, circuit, circuits))
        : Exit.fail(refusal(circuit.name, admission))

    const { stepNow } = circuits
    const enterNow =
      stepNow &&
      ((name: string, options: BreakerOptions | undefined, now: number) => {
        const circuit = circuits.of(name, options)
        return passOf(circuit, stepNow(circuit, now, Circuit.admit))
      })

    const enter = (name: string, options: BreakerOptions | undefined, now: number) =>
      Effect.suspend((): Effect.Effect<Pass, CircuitOpen> => {
        if (enterNow !== undefined) return enterNow(name, options, now)
        const circuit = circuits.of(name, options)
        return Effect.flatMap(
          circuits.reaching(circuits.stepSoon(circuit, now, Circuit.admit), undefined),
          (admission): Exit.Exit<Pass, CircuitOpen> =>
            admission === undefined ? Exit.succeed(uncounted) : passOf(circuit, admission)
        )
      })

    const readOne = (name: string) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.map(circuits.read([name], now), ([circuit = Circuit.make(circuits.policyOf(name))]) => ({
          circuit,
          now
        }))
      )

    const update = (
      name: string,
      transition: (circuit: Circuit.Circuit, now: number) => Circuit.Circuit
    ): Effect.Effect<void> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        circuits.step(circuits.of(name), now, (circuit, now) => [undefined, transition(circuit, now)])
      )

    return CircuitBreaker.of({
      enter,
      ...(enterNow === undefined ? {} : { enterNow }),
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
        Effect.flatMap(readOne(name), ({ circuit, now }) => {
          const [admission] = Circuit.admit(circuit, now)
          return admission.admitted ? Effect.void : Effect.fail(refusal(name, admission))
        }),
      state: (name) => Effect.map(readOne(name), ({ circuit }) => circuit.state),
      states: Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const { names } = circuits
        return Effect.map(
          circuits.read(names, now),
          (found) =>
            new Map(
              found.flatMap(({ state }, index) => {
                const name = names[index]
                return name === undefined ? [] : [[name, state] as const]
              })
            )
        )
      }),
      changes: changes.stream,
      trip: (name) => update(name, Circuit.trip),
      reset: (name) => update(name, Circuit.reset)
    })
  })

  /**
   * Circuits in the memory of this process. Dies with `InvalidBreakerPolicy`.
   *
   * @example
   * ```ts
   * PluginRuntime.layer.pipe(Layer.provide(CircuitBreaker.layer({ failureThreshold: 3, cooldown: "60 seconds" })))
   * ```
   */
  static readonly layer = (options: BreakerOptions = {}): Layer.Layer<CircuitBreaker> =>
    Layer.effect(this)(Effect.suspend(() => this.make(makeMemory(), options)))

  /**
   * Circuits in a store of your own, such as one that several hubs share. While it cannot be reached, runs are admitted
   * and not counted, and the log says so once. Dies with `InvalidBreakerPolicy`.
   */
  static readonly layerStore = (
    store: BreakerStore,
    options: BreakerOptions = {}
  ): Layer.Layer<CircuitBreaker> => Layer.effect(this)(this.make(store, options))
}
