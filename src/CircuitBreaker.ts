/**
 * A circuit breaker for each plugin name: after a few failures in a row a plugin is left alone for a while,
 * then one probe finds out whether it has recovered.
 *
 * **Details**
 *
 * - A success sets the count to 0; any failure counts, defects too (they are raised again as they came).
 * - A run whose isolate crashes after it has returned, and before the next run, counts as a failure.
 * - Interruption counts nothing and frees the probe's place. So does `CIRCUIT_OPEN` of a breaker inside: nothing was
 *   executed.
 * - Admission and result are one atomic step each: at most one probe, no lost count, and a run that was
 *   admitted before a transition changes nothing after it.
 *
 * **Gotchas**
 *
 * - Put a timeout inside `protect`: outside, it is an interruption and counts nothing.
 * - `layer` keeps circuits in memory: they are gone with it and not shared with other processes. `layerStore` keeps
 *   them where you say.
 *
 * | default | |
 * | --- | --- |
 * | `failureThreshold` | 3 |
 * | `cooldown` | 60 seconds |
 */
import { Cause, Clock, Context, Effect, Exit, Layer, Option, PubSub, Stream, type Take } from "effect"
import * as Circuit from "./breaker/Circuit.ts"
import { type BreakerOptions, defaultPolicy, makePolicy } from "./breaker/Policy.ts"
import {
  type BreakerStore,
  makeMemory,
  type Step,
  type StepOf,
  type StoreUnreachable
} from "./breaker/Store.ts"
import { CircuitOpen, PluginTimeout } from "./Errors.ts"
import type { BreakerPolicy } from "./Plugin.ts"

export type { BreakerState, Circuit, Closed, HalfOpen, Open } from "./breaker/Circuit.ts"
export { type BreakerOptions, InvalidBreakerPolicy } from "./breaker/Policy.ts"
export { type BreakerStore, type Step, type StepOf, StoreUnreachable } from "./breaker/Store.ts"

/** One circuit went from one state to another. */
export interface BreakerChange {
  readonly name: string
  readonly from: Circuit.BreakerState
  readonly to: Circuit.BreakerState
}

/** Leave to run, until it is said how it ended. */
export interface Pass {
  /**
   * Whether the circuit is still as it was at admission, as far as this process knows; if not, the pass no longer
   * counts.
   */
  readonly isCurrent: () => boolean
  /** To be called once, and what it returns to be run: the circuit knows by then. */
  readonly leave: (exit: Exit.Exit<unknown, unknown>, now: number) => Effect.Effect<void>
  /**
   * To be called at most once, if its isolate crashed after it had returned: its success counts as a failure. Changes
   * nothing if it was no success.
   */
  readonly crashed: (now: number) => Effect.Effect<void>
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
     * Admits one run when it is run, as at the time `now` (milliseconds since the epoch); its caller says once, by the
     * pass, how it ended. Others use `protect`. If the run has to wait before it starts, ask the pass again then.
     */
    readonly enter: (
      name: string,
      policy: BreakerOptions | undefined,
      now: number
    ) => Effect.Effect<Pass, CircuitOpen>
    /** The same at once, for callers in a hurry; absent where the store has to be waited for. */
    readonly enterNow?: (
      name: string,
      policy: BreakerOptions | undefined,
      now: number
    ) => Exit.Exit<Pass, CircuitOpen>
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
      Effect.suspend(() => make(makeMemory(), options))
    )

  /**
   * Circuits in a store of your own, such as one that hubs share. While it cannot be reached, runs go through
   * uncounted, and the log says so once. Dies with `InvalidBreakerPolicy`.
   */
  static readonly layerStore = (
    store: BreakerStore,
    options: BreakerOptions = {}
  ): Layer.Layer<CircuitBreaker> =>
    Layer.effect(
      CircuitBreaker,
      Effect.suspend(() => make(store, options))
    )
}

/** How a run's end counts to its circuit. */
const countOf = (exit: Exit.Exit<unknown, unknown>): Circuit.Outcome => {
  if (Exit.isSuccess(exit)) return "success"
  if (Cause.hasInterruptsOnly(exit.cause)) return "ignored"
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isNone(error)) return "failure"
  // One executed nothing; of the other a host that stood still may be the cause.
  const isIgnored =
    error.value instanceof CircuitOpen ||
    (error.value instanceof PluginTimeout && error.value.hostPaused !== undefined)
  return isIgnored ? "ignored" : "failure"
}

const refusal = (name: string, { failures, retryAfter }: Circuit.Refusal): CircuitOpen =>
  new CircuitOpen({ plugin: name, failures, retryAfter })

/** What this process knows of a circuit: its policy here, and its generation when it was seen last. */
interface Known {
  readonly name: string
  policy: BreakerPolicy
  generation: number
}

/** Takes a step of a circuit, and hands its answer on. */
type TakeStep = <A>(
  circuit: Known,
  now: number,
  transition: StepOf<A>["transition"],
  then: (answer: A) => void
) => Effect.Effect<void>

class CircuitPass implements Pass {
  readonly #generation: number
  readonly #circuit: Known
  readonly #take: TakeStep
  /** The circuit's generation since this run was counted as a success. */
  #succeeded: number | undefined
  /** Whether its isolate crashed before it was said how the run ended. */
  #isCrashed = false

  constructor(generation: number, circuit: Known, take: TakeStep) {
    this.#generation = generation
    this.#circuit = circuit
    this.#take = take
  }

  isCurrent(): boolean {
    return this.#circuit.generation === this.#generation
  }

  leave(exit: Exit.Exit<unknown, unknown>, now: number): Effect.Effect<void> {
    const count = countOf(exit)
    const outcome = count === "success" && this.#isCrashed ? "failure" : count
    const generation = this.#generation
    return this.#take(
      this.#circuit,
      now,
      (circuit, now) => {
        const isLate = circuit.generation !== generation
        const after = Circuit.record(circuit, generation, outcome, now)
        return [outcome === "success" && !isLate ? after.generation : undefined, after]
      },
      (succeeded) => {
        this.#succeeded = succeeded
      }
    )
  }

  crashed(now: number): Effect.Effect<void> {
    this.#isCrashed = true
    const generation = this.#succeeded
    if (generation === undefined) return Effect.void
    return this.#take(
      this.#circuit,
      now,
      (circuit, now) => [undefined, Circuit.crash(circuit, generation, now)],
      () => {}
    )
  }
}

/** Of a run that was let in while the store could not be asked. */
const uncounted: Pass = { isCurrent: () => true, leave: () => Effect.void, crashed: () => Effect.void }

const make = Effect.fnUntraced(function* (store: BreakerStore, options: BreakerOptions) {
  const basePolicy = makePolicy(options, defaultPolicy)
  /** Specs keep their options from run to run, so they are checked once. */
  const checked = new WeakMap<BreakerOptions, BreakerPolicy>()
  /** Every circuit that was used. */
  const known = new Map<string, Known>()
  const changes = yield* Effect.acquireRelease(PubSub.sliding<Take.Take<BreakerChange>>(256), (pubsub) =>
    PubSub.end(pubsub, Exit.void)
  )
  let reached = true

  const policyOf = (name: string): BreakerPolicy => known.get(name)?.policy ?? basePolicy

  const knownAs = (name: string): Known => {
    const there = known.get(name)
    if (there !== undefined) return there
    const made: Known = { name, policy: basePolicy, generation: 0 }
    known.set(name, made)
    return made
  }

  /** With these options from here on. */
  const following = (name: string, options: BreakerOptions | undefined): Known => {
    const circuit = knownAs(name)
    if (options === undefined) return circuit
    const policy = checked.get(options) ?? makePolicy(options, basePolicy)
    if (policy !== circuit.policy) {
      checked.set(options, policy)
      circuit.policy = policy
    }
    return circuit
  }

  /** Takes note of a step, and announces it within it: later, two fibers could announce in the wrong order. */
  const noted = <A>(circuit: Known, { answer, before, after }: Step<A>): A => {
    circuit.generation = after.generation
    if (after.state._tag !== before.state._tag) {
      // A sliding PubSub never waits, so that this can be part of the step.
      Effect.runSync(PubSub.publish(changes, [{ name: circuit.name, from: before.state, to: after.state }]))
    }
    return answer
  }

  /** Where the store cannot be asked, which is logged once until it can be again. */
  const reaching =
    <B>(otherwise: B) =>
    <A>(question: Effect.Effect<A, StoreUnreachable>): Effect.Effect<A | B> =>
      question.pipe(
        Effect.tap(Effect.sync(() => (reached = true))),
        Effect.catch((error) => {
          const first = reached
          reached = false
          return first
            ? Effect.as(Effect.logWarning("plugins run uncounted", error), otherwise)
            : Effect.succeed(otherwise)
        })
      )

  const { modifyNow } = store
  const stepOf = <A>(
    { name, policy }: Known,
    now: number,
    transition: StepOf<A>["transition"]
  ): StepOf<A> => ({ name, policy, now, transition })
  const step = <A>(circuit: Known, now: number, transition: StepOf<A>["transition"]) =>
    Effect.map(store.modify(stepOf(circuit, now, transition)), (step) => noted(circuit, step))

  const passOf = (circuit: Known, admission: Circuit.Admission): Exit.Exit<Pass, CircuitOpen> => {
    if (!admission.admitted) return Exit.fail(refusal(circuit.name, admission))
    return Exit.succeed(new CircuitPass(admission.generation, circuit, soon))
  }

  /** Takes a step at once if the store can; otherwise the effect does. */
  const soon: TakeStep = (circuit, now, transition, then) => {
    if (modifyNow === undefined)
      return reaching(undefined)(Effect.map(step(circuit, now, transition), (answer) => then(answer)))
    then(noted(circuit, modifyNow(stepOf(circuit, now, transition))))
    return Effect.void
  }

  const enterNow =
    modifyNow &&
    ((name: string, options: BreakerOptions | undefined, now: number) => {
      const circuit = following(name, options)
      return passOf(circuit, noted(circuit, modifyNow(stepOf(circuit, now, Circuit.admit))))
    })

  const enter = (name: string, options: BreakerOptions | undefined, now: number) =>
    Effect.suspend((): Effect.Effect<Pass, CircuitOpen> => {
      if (enterNow !== undefined) return enterNow(name, options, now)
      const circuit = following(name, options)
      return Effect.flatMap(
        reaching(undefined)(step(circuit, now, Circuit.admit)),
        (admission): Exit.Exit<Pass, CircuitOpen> =>
          admission === undefined ? Exit.succeed(uncounted) : passOf(circuit, admission)
      )
    })

  const read = (names: ReadonlyArray<string>) =>
    Clock.clockWith((clock) => {
      const wanted = names.map((name) => ({ name, policy: policyOf(name) }))
      const unknown = wanted.map(({ policy }) => Circuit.make(policy))
      return reaching(unknown)(store.read(wanted, clock.currentTimeMillisUnsafe()))
    })
  const readOne = (name: string) =>
    Effect.map(read([name]), ([circuit = Circuit.make(policyOf(name))]) => circuit)

  const update = (
    name: string,
    transition: (circuit: Circuit.Circuit, now: number) => Circuit.Circuit
  ): Effect.Effect<void> =>
    Clock.clockWith((clock) =>
      reaching(undefined)(
        step(knownAs(name), clock.currentTimeMillisUnsafe(), (circuit, now) => [
          undefined,
          transition(circuit, now)
        ])
      )
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
      Clock.clockWith((clock) =>
        Effect.flatMap(readOne(name), (circuit) => {
          const [admission] = Circuit.admit(circuit, clock.currentTimeMillisUnsafe())
          return admission.admitted ? Effect.void : Effect.fail(refusal(name, admission))
        })
      ),
    state: (name) => Effect.map(readOne(name), ({ state }) => state),
    states: Effect.suspend(() => {
      const names = [...known.keys()]
      return Effect.map(
        read(names),
        (circuits) =>
          new Map(
            names.flatMap((name, index) => {
              const circuit = circuits[index]
              return circuit === undefined ? [] : [[name, circuit.state] as const]
            })
          )
      )
    }),
    changes: Stream.fromPubSubTake(changes),
    trip: (name) => update(name, Circuit.trip),
    reset: (name) => update(name, Circuit.reset)
  })
})
