/** How the plugins of one message fare, and why. */
import type { Job } from "@agentlip/protocol"
import { useState } from "preact/hooks"
import { pathOf } from "../route.ts"
import { changing, hub, isSignedIn, textOf } from "../session.ts"
import { ErrorText } from "./ErrorText.tsx"
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
  const [problem, setProblem] = useState<string | undefined>(undefined)
  if (jobs.length === 0) return null
  const retry = (): void => {
    setProblem(undefined)
    changing(() => hub.retry({ payload: { message_id: message } })).then(onRetried, (error) =>
      setProblem(textOf(error))
    )
  }
  return (
    <details class="jobs">
      <summary>
        <span class={`dot ${worst(jobs)}`} aria-hidden="true" />
        <Visible text={summaryOf(jobs)} />
        {jobs.some(isNotable) && <span class="why">why?</span>}
      </summary>
      <ul>
        {[...jobs.filter(isNotable), ...jobs.filter((job) => !isNotable(job))].map(
          ({ plugin_name, state, error }) => (
            <li key={plugin_name}>
              <span class={`dot ${worst([{ state }])}`} aria-hidden="true" />
              <a href={pathOf.plugin(plugin_name)}>
                <Name text={plugin_name} />
              </a>{" "}
              {states[state]}
              {error !== null && (
                <>
                  <ErrorText error={error} />
                  <p>
                    <a href={pathOf.playground(plugin_name, message)}>Try it in the playground</a>
                  </p>
                </>
              )}
            </li>
          )
        )}
      </ul>
      {jobs.some(({ state }) => state === "failed") && isSignedIn() && (
        <button type="button" onClick={retry}>
          Retry the failed jobs of this message
        </button>
      )}
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </details>
  )
}
