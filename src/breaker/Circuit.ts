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
 * Every admission carries the circuit's generation. Each transition moves the generation on, so that the
 * result of a run that was admitted before it finds another one and changes nothing.
 *
 * A plugin may return and crash right after. By then its run has been counted as a success, which has set the count to
 * 0: the circuit keeps what it was (`forgiven`), so that `crash` can count on from there.
 */
import { Duration } from "effect"
import type { BreakerPolicy } from "../Plugin.ts"

/** Runs go through; `failures` have come in a row, in order of completion. */
export interface Closed {
  readonly _tag: "Closed"
  readonly failures: number
}

/**
 * Nothing goes through before `until` (milliseconds since the epoch). A circuit past it stays `Open` until
 * the next run asks and becomes the probe.
 */
export interface Open {
  readonly _tag: "Open"
  readonly until: number
  readonly failures: number
}

/** One run, the probe, decides; `probing` is false when it was interrupted and the next run takes its place. */
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
  /** The failures in a row that the last success has ended; 0 if the last outcome was no success. */
  readonly forgiven: number
}

export interface Refusal {
  readonly admitted: false
  readonly failures: number
  readonly retryAfter: Duration.Duration
}

export type Admission = { readonly admitted: true; readonly generation: number } | Refusal

/** How an admitted run ended; `"ignored"` (interruption) says nothing about the plugin. */
export type Outcome = "success" | "failure" | "ignored"

/**
 * What a run that meets a probe is told to wait, or the cooldown if that is shorter. How long a probe takes
 * is not known here; a second is short beside a cooldown and long beside a run.
 */
const probeWait = Duration.seconds(1)

const closed: Closed = { _tag: "Closed", failures: 0 }

export const make = (policy: BreakerPolicy): Circuit => ({
  policy,
  generation: 0,
  state: closed,
  forgiven: 0
})

/** A new state; whoever was admitted before has no say in it. */
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

/** Counts the outcome of a run that was admitted under `generation`; a late one changes nothing. */
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
 * Counts a crash that followed a success: as if that had been a failure. `generation` is the circuit's since that
 * success was counted; if it has moved on, the crash changes nothing.
 */
export const crash = (circuit: Circuit, generation: number, now: number): Circuit =>
  generation === circuit.generation
    ? fail(circuit, circuit.state.failures + circuit.forgiven + 1, now)
    : circuit

/** Opens from any state for a whole cooldown. */
export const trip = (circuit: Circuit, now: number): Circuit => open(circuit, circuit.state.failures, now)

/** Closes from any state; runs that were admitted before no longer count. */
export const reset = (circuit: Circuit): Circuit => moveTo(circuit, closed)

/** Follows another policy from here on; an `until` that is already set stays. */
export const withPolicy = (circuit: Circuit, policy: BreakerPolicy): Circuit =>
  circuit.policy === policy ? circuit : { ...circuit, policy }
