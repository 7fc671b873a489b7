/** The circuits of a store, as this process knows them. Takes their steps and announces their transitions. */
import { Effect } from "effect"
import type { BreakerPolicy } from "../Plugin.ts"
import type { Changes } from "./Changes.ts"
import * as Circuit from "./Circuit.ts"
import { type BreakerOptions, makePolicy } from "./Policy.ts"
import type { BreakerStore, Step, StepOf, StoreUnreachable } from "./Store.ts"

/** What this process knows of a circuit. */
export interface KnownCircuit {
  readonly name: string
  policy: BreakerPolicy
  /** The options that the policy was made from. A spec keeps them from run to run, so they are checked once. */
  options: BreakerOptions | undefined
  /** When it was last seen. */
  generation: number
}

type Transition<A> = StepOf<A>["transition"]

type StepNow = <A>(circuit: KnownCircuit, now: number, transition: Transition<A>) => A

export class Circuits {
  readonly #store: BreakerStore
  readonly #basePolicy: BreakerPolicy
  readonly #changes: Changes
  readonly #known = new Map<string, KnownCircuit>()
  /** Takes a step at once; `undefined` if the store works asynchronously. */
  readonly stepNow: StepNow | undefined
  /** Whether the last call reached the store. */
  #isReached = true

  constructor(store: BreakerStore, basePolicy: BreakerPolicy, changes: Changes) {
    this.#store = store
    this.#basePolicy = basePolicy
    this.#changes = changes
    const { modifyNow } = store
    this.stepNow =
      modifyNow &&
      ((circuit, now, transition) => {
        const { name, policy } = circuit
        return this.#noted(circuit, modifyNow({ name, policy, now, transition }))
      })
  }

  /** Every circuit that was used. */
  get names(): ReadonlyArray<string> {
    return [...this.#known.keys()]
  }

  policyOf(name: string): BreakerPolicy {
    return this.#known.get(name)?.policy ?? this.#basePolicy
  }

  /** The circuit of a name. It follows these options from now on. */
  of(name: string, options?: BreakerOptions): KnownCircuit {
    let circuit = this.#known.get(name)
    if (circuit === undefined) {
      circuit = { name, policy: this.#basePolicy, options: undefined, generation: 0 }
      this.#known.set(name, circuit)
    }
    if (options !== undefined && options !== circuit.options) {
      circuit.policy = makePolicy(options, this.#basePolicy)
      circuit.options = options
    }
    return circuit
  }

  /** Takes a step: at once if the store can, otherwise when the effect runs. Does nothing if the store is unreachable. */
  step<A>(
    circuit: KnownCircuit,
    now: number,
    transition: Transition<A>,
    use: (answer: A) => void = () => {}
  ): Effect.Effect<void> {
    if (this.stepNow === undefined) {
      return this.reaching(Effect.map(this.stepSoon(circuit, now, transition), use), undefined)
    }
    use(this.stepNow(circuit, now, transition))
    return Effect.void
  }

  stepSoon<A>(
    circuit: KnownCircuit,
    now: number,
    transition: Transition<A>
  ): Effect.Effect<A, StoreUnreachable> {
    const { name, policy } = circuit
    return Effect.map(this.#store.modify({ name, policy, now, transition }), (step) =>
      this.#noted(circuit, step)
    )
  }

  /** The circuits as they are now; as if never used if the store is unreachable. */
  read(names: ReadonlyArray<string>, now: number): Effect.Effect<ReadonlyArray<Circuit.Circuit>> {
    const wanted = names.map((name) => ({ name, policy: this.policyOf(name) }))
    const unused = wanted.map(({ policy }) => Circuit.make(policy))
    return this.reaching(this.#store.read(wanted, now), unused)
  }

  /** Returns `otherwise` if the store is unreachable. Logs that once per outage. */
  reaching<A, B>(question: Effect.Effect<A, StoreUnreachable>, otherwise: B): Effect.Effect<A | B> {
    return Effect.matchEffect(question, {
      onSuccess: (answer) => {
        this.#isReached = true
        return Effect.succeed<A | B>(answer)
      },
      onFailure: (error) => {
        const isFirst = this.#isReached
        this.#isReached = false
        return isFirst
          ? Effect.as(Effect.logWarning("plugins run uncounted", error), otherwise)
          : Effect.succeed(otherwise)
      }
    })
  }

  /** Announces a transition within its step: later, two fibers could announce theirs in the wrong order. */
  #noted<A>(circuit: KnownCircuit, { answer, before, after }: Step<A>): A {
    circuit.generation = after.generation
    if (after.state._tag !== before.state._tag) {
      this.#changes.publish({ name: circuit.name, from: before.state, to: after.state })
    }
    return answer
  }
}
