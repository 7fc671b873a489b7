/** How the plugins of one message fare, and why. */
import type { Job } from "@agentlip/protocol"
import { useRef, useState } from "preact/hooks"
import { pathOf } from "../route.ts"
import { hub } from "../session.ts"
import { Action } from "./Action.tsx"
import { JobReason } from "./JobReason.tsx"
import { Name, Visible } from "./Name.tsx"

const states: { readonly [State in Job["state"]]: string } = {
  pending: "is queued or running",
  waiting: "waits: its circuit is open after failures",
  failed: "failed",
  stale: "was discarded: the message changed while it ran",
  committed: "found something",
  empty: "found nothing"
}

/** What a reader should know: everything but the usual ends. */
const isNotable = ({ state }: Job): boolean => state !== "committed" && state !== "empty"

const summaryOf = (jobs: ReadonlyArray<Job>): string => {
  const notable = jobs.filter(isNotable)
  if (notable.length === 0) return jobs.length === 1 ? "1 plugin" : `${jobs.length} plugins`
  const [first] = notable
  return notable.length === 1
    ? `${first?.plugin_name ?? ""} ${first?.state ?? ""}`
    : `${notable.length} plugins: ${[...new Set(notable.map(({ state }) => state))].join(", ")}`
}

/** The state that needs attention most. */
const worst = (jobs: ReadonlyArray<Pick<Job, "state">>): string =>
  (["failed", "waiting", "pending", "stale"] as const).find((state) =>
    jobs.some((job) => job.state === state)
  ) ?? "ok"

export const MessageJobs = ({
  message,
  jobs,
  onRetried
}: {
  readonly message: string
  readonly jobs: ReadonlyArray<Job>
  readonly onRetried: () => void
}) => {
  const [isOpen, setOpen] = useState(false)
  const wasInSight = useRef(false)
  if (jobs.length === 0) return null
  const sorted = [...jobs.filter(isNotable), ...jobs.filter((job) => !isNotable(job))]
  const first = sorted.find(({ error }) => error !== null)
  /** At the end of a list, a reason opens below what is in sight. Later, the reader decides what is in sight. */
  const intoSight = (reason: HTMLElement): void => {
    if (!wasInSight.current) reason.scrollIntoView({ block: "nearest" })
    wasInSight.current = true
  }
  const toggle = (open: boolean): void => {
    wasInSight.current = false
    setOpen(open)
  }
  const retry = async () => {
    await hub.retry({ payload: { message_id: message } })
    onRetried()
    return undefined
  }
  const close = (name: string) => async () => {
    await hub.reset({ params: { name } })
    onRetried()
    return undefined
  }
  return (
    <details class="jobs" onToggle={(event) => toggle(event.currentTarget.open)}>
      <summary>
        <span class={`dot ${worst(jobs)}`} aria-hidden="true" />
        <Visible text={summaryOf(jobs)} />
        {jobs.some(isNotable) && <span class="why">why?</span>}
      </summary>
      <ul>
        {sorted.map((job) => (
          <li key={job.plugin_name}>
            <span class={`dot ${worst([job])}`} aria-hidden="true" />
            <a href={pathOf.plugin(job.plugin_name)}>
              <Name text={job.plugin_name} />
            </a>{" "}
            {states[job.state]}
            {job.error !== null && isOpen && (
              <>
                <JobReason job={job} onShown={job === first ? intoSight : undefined} />
                <p class="row">
                  <a href={pathOf.playground(job.plugin_name, message)}>Try it in the playground</a>
                  {job.state === "waiting" && (
                    <Action run={close(job.plugin_name)}>Close the circuit: run it now</Action>
                  )}
                </p>
              </>
            )}
          </li>
        ))}
      </ul>
      {jobs.some(({ state }) => state === "failed") && (
        <p class="row">
          <Action run={retry}>Retry the failed jobs of this message</Action>
          <span>Repaired the plugin? The hub loads its file when it is saved.</span>
        </p>
      )}
    </details>
  )
}
