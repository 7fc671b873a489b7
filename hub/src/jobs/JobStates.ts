/** The states of a job, and every way from one to another. docs/architecture.md shows them as a diagram. */
import type { JobState } from "@agentlip/protocol"

interface Transition {
  /** `undefined`: the job is new. */
  readonly from: JobState | undefined
  readonly to: JobState
  readonly when: string
}

export const transitions = [
  { from: undefined, to: "pending", when: "a message is posted or edited, or a backfill meets it" },
  { from: "pending", to: "waiting", when: "the plugin's circuit opens" },
  { from: "waiting", to: "pending", when: "the circuit lets runs through" },
  { from: "pending", to: "committed", when: "the plugin found something" },
  { from: "pending", to: "empty", when: "the plugin found nothing" },
  { from: "pending", to: "stale", when: "the message was edited or deleted" },
  { from: "pending", to: "failed", when: "the plugin failed, or 5 deliveries never ended" },
  { from: "committed", to: "pending", when: "a backfill" },
  { from: "empty", to: "pending", when: "a backfill" },
  { from: "stale", to: "pending", when: "a backfill" },
  { from: "failed", to: "pending", when: "a retry or a backfill" }
] as const satisfies ReadonlyArray<Transition>

/** The states in which a job ends: those that `pending` leads to, except `waiting`. */
export type JobEnd = Exclude<
  Extract<(typeof transitions)[number], { readonly from: "pending" }>["to"],
  "waiting"
>

/** True for the states in which a job ends. `waiting` is not stored: it is an open job of a paused plugin. */
export const isEnd = (state: JobState): state is JobEnd => state !== "pending" && state !== "waiting"

/** The table as a Mermaid diagram. */
export const stateDiagram = (): string =>
  [
    "stateDiagram-v2",
    ...transitions.map(({ from, to, when }) => `  ${from ?? "[*]"} --> ${to}: ${when}`)
  ].join("\n")
