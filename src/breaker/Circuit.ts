/**
 * The state machine of one circuit: pure transitions without clock, names or service.
 *
 * ```
 *           failures reach the threshold           cooldown over: the next run is the probe
 *   Closed ──────────────────────────────▶ Open ──────────────────────────────────────────▶ HalfOpen
 *     ▲                                      ▲                 the probe fails                 │ │
 *     │                                      └─────────────────────────────────────────────────┘ │
 *     └────────────────────────────────── the probe succeeds ────────────────────────────────────┘
 * ```
 *
 * Every admission carries the circuit's generation. Each transition starts a new generation, so the result of a run that
 * was admitted before changes nothing.
 *
 * A plugin may return and crash right after. Its run has then counted as a success, which set the count to 0. The circuit
 * keeps the previous count (`forgiven`), so that `crash` can continue from it.
 */
import { Duration } from "effect"
import type { BreakerPolicy } from "../Plugin.ts"

/** Runs are admitted. `failures` is the number of failures in a row, in order of completion. */
export interface Closed {
  readonly _tag: "Closed"
  readonly failures: number
}

/**
 * No run is admitted before `until` (milliseconds since the epoch). After that the circuit stays `Open` until the next
 * run asks and becomes the probe.
 */
export interface Open {
  readonly _tag: "Open"
  readonly until: number
  readonly failures: number
}

/** One run, the probe, decides. `probing` is false if it was interrupted: the next run becomes the probe. */
export interface HalfOpen {
  readonly _tag: "HalfOpen"
  readonly probing: boolean
  readonly failures: number
}

export type BreakerState = Closed | Open | HalfOpen

export interface Circuit {
  readonly policy: BreakerPolicy
  readonly generation: number
  readonly state: BreakerState
  /** The failures in a row before the last success; 0 if the last outcome was no success. */
  readonly forgiven: number
}

export interface Refusal {
  readonly admitted: false
  readonly failures: number
  readonly retryAfter: Duration.Duration
}

export type Admission = { readonly admitted: true; readonly generation: number } | Refusal

/** How an admitted run ended; `"ignored"` (interruption) does not count. */
export type Outcome = "success" | "failure" | "ignored"

/**
 * The `retryAfter` of a run that is refused while a probe runs, unless the cooldown is shorter. How long the probe takes
 * is unknown: a second is short compared with a cooldown, and long compared with a run.
 */
const probeWait = Duration.seconds(1)

const closed: Closed = { _tag: "Closed", failures: 0 }

export const make = (policy: BreakerPolicy): Circuit => ({
  policy,
  generation: 0,
  state: closed,
  forgiven: 0
})

/** A new state. Runs that were admitted before do not count in it. */
const moveTo = (circuit: Circuit, state: BreakerState): Circuit => ({
  ...circuit,
  generation: circuit.generation + 1,
  state,
  forgiven: 0
})

const open = (circuit: Circuit, failures: number, now: number): Circuit =>
  moveTo(circuit, { _tag: "Open", until: now + Duration.toMillis(circuit.policy.cooldown), failures })

const admitProbe = (circuit: Circuit): readonly [Admission, Circuit] => {
  const probing = moveTo(circuit, { _tag: "HalfOpen", probing: true, failures: circuit.state.failures })
  return [{ admitted: true, generation: probing.generation }, probing]
}

const refuse = (circuit: Circuit, retryAfter: Duration.Duration): readonly [Admission, Circuit] => [
  { admitted: false, failures: circuit.state.failures, retryAfter },
  circuit
]

/** Whether a run may start at `now`. */
export const admit = (circuit: Circuit, now: number): readonly [Admission, Circuit] => {
  const { state, policy, generation } = circuit
  switch (state._tag) {
    case "Closed":
      return [{ admitted: true, generation }, circuit]
    case "Open":
      return now < state.until ? refuse(circuit, Duration.millis(state.until - now)) : admitProbe(circuit)
    case "HalfOpen":
      return state.probing ? refuse(circuit, Duration.min(policy.cooldown, probeWait)) : admitProbe(circuit)
  }
}

/** Counts the outcome of a run that was admitted under `generation`. A late outcome changes nothing. */
export const record = (circuit: Circuit, generation: number, outcome: Outcome, now: number): Circuit => {
  if (generation !== circuit.generation) return circuit
  const { state, policy } = circuit
  const probe = state._tag === "HalfOpen"
  switch (outcome) {
    case "ignored":
      return probe ? moveTo(circuit, { ...state, probing: false }) : circuit
    case "success":
      // Any failure of a probe opens the circuit, a crash after it too.
      if (probe) return { ...moveTo(circuit, closed), forgiven: policy.failureThreshold - 1 }
      return state.failures === 0 && circuit.forgiven === 0
        ? circuit
        : { ...circuit, state: closed, forgiven: state.failures }
    case "failure":
      return fail(circuit, state.failures + 1, now)
  }
}

const fail = (circuit: Circuit, failures: number, now: number): Circuit =>
  circuit.state._tag === "HalfOpen" || failures >= circuit.policy.failureThreshold
    ? open(circuit, failures, now)
    : { ...circuit, state: { _tag: "Closed", failures }, forgiven: 0 }

/**
 * Counts a crash that followed a success as if the success had been a failure. `generation` is the circuit's after that
 * success. If the circuit has a newer one, the crash changes nothing.
 */
export const crash = (circuit: Circuit, generation: number, now: number): Circuit =>
  generation === circuit.generation
    ? fail(circuit, circuit.state.failures + circuit.forgiven + 1, now)
    : circuit

/** Opens from any state for a whole cooldown. */
export const trip = (circuit: Circuit, now: number): Circuit => open(circuit, circuit.state.failures, now)

/** Closes from any state. Runs that were admitted before no longer count. */
export const reset = (circuit: Circuit): Circuit => moveTo(circuit, closed)

/** Follows another policy from now on. An `until` that is already set stays. */
export const withPolicy = (circuit: Circuit, policy: BreakerPolicy): Circuit =>
  circuit.policy === policy ? circuit : { ...circuit, policy }
