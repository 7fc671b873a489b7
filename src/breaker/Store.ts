/** Stores of circuits: the interface that the breaker uses, and the store in the memory of this process. */
import { Effect, MutableRef, Schema } from "effect"
import type { BreakerPolicy } from "../Plugin.ts"
import * as Circuit from "./Circuit.ts"

/** The store is unreachable. Until it is back, the breaker admits runs and does not count them. */
export class StoreUnreachable extends Schema.TaggedError<StoreUnreachable>(
  "@agentlip/plugin-runtime/StoreUnreachable"
)("StoreUnreachable", { store: Schema.String, cause: Schema.Defect() }) {
  override get message(): string {
    return `${this.store} cannot be asked for circuits`
  }
}

/** The result of a step, and the circuit before and after it: the same object if nothing has changed. */
export interface Step<A> {
  readonly answer: A
  readonly before: Circuit.Circuit
  readonly after: Circuit.Circuit
}

/** Which circuit takes a step, when (milliseconds since the epoch, by this process's clock), and under which policy. */
export interface StepOf<A> {
  readonly name: string
  readonly policy: BreakerPolicy
  readonly now: number
  readonly transition: (circuit: Circuit.Circuit, now: number) => readonly [A, Circuit.Circuit]
}

/** Keeps circuits by name. A circuit that was never changed is closed. */
export interface BreakerStore {
  /**
   * Takes one atomic step: no other step of that circuit happens between reading it for `transition` and storing the
   * result. `transition` is pure and may be called more than once.
   */
  readonly modify: <A>(step: StepOf<A>) => Effect.Effect<Step<A>, StoreUnreachable>
  /** The same at once. Absent if the store works asynchronously. */
  readonly modifyNow?: <A>(step: StepOf<A>) => Step<A>
  /** The circuits at one moment, in the order of `names`. */
  readonly read: (
    circuits: ReadonlyArray<Pick<StepOf<never>, "name" | "policy">>,
    now: number
  ) => Effect.Effect<ReadonlyArray<Circuit.Circuit>, StoreUnreachable>
}

/** Keeps circuits in the memory of this process. */
export const makeMemory = (): Required<BreakerStore> => {
  const circuits = new Map<string, MutableRef.MutableRef<Circuit.Circuit>>()

  const modifyNow = <A>({ name, policy, now, transition }: StepOf<A>): Step<A> => {
    const known = circuits.get(name)
    const ref = known ?? MutableRef.make(Circuit.make(policy))
    if (known === undefined) circuits.set(name, ref)
    const before = MutableRef.get(ref)
    const [answer, after] = transition(Circuit.withPolicy(before, policy), now)
    if (after !== before) MutableRef.set(ref, after)
    return { answer, before, after }
  }

  return {
    modifyNow,
    modify: (step) => Effect.sync(() => modifyNow(step)),
    read: (wanted) =>
      Effect.sync(() =>
        wanted.map(({ name, policy }) => {
          const ref = circuits.get(name)
          return ref === undefined ? Circuit.make(policy) : Circuit.withPolicy(MutableRef.get(ref), policy)
        })
      )
  }
}
