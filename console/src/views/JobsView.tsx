/** Jobs of all messages by their state, and backfills. */
import type { Backfill, Job, JobState } from "@agentlip/protocol"
import { useState } from "preact/hooks"
import { pathOf } from "../route.ts"
import { hub } from "../session.ts"
import { Action } from "./Action.tsx"
import { ErrorText } from "./ErrorText.tsx"
import { Name } from "./Name.tsx"
import { Time } from "./Time.tsx"
import { usePolled } from "./usePolled.ts"
import { Options } from "./Options.tsx"

const states: ReadonlyArray<JobState> = ["failed", "waiting", "pending", "stale", "committed", "empty"]
const usual: ReadonlyArray<JobState> = ["failed", "waiting", "pending"]
const pageSize = 50

const JobItem = ({
  job: { message_id, plugin_name, state, error, created_at, ended_at }
}: {
  readonly job: Job
}) => (
  <li>
    <p>
      <span class={`dot ${state === "committed" || state === "empty" ? "ok" : state}`} aria-hidden="true" />{" "}
      {state}{" "}
      <a href={pathOf.plugin(plugin_name)}>
        <Name text={plugin_name} />
      </a>{" "}
      on <a href={`/ui#${encodeURIComponent(message_id)}`}>this message</a>{" "}
      <span class="quiet">
        <Time iso={ended_at ?? created_at} form="brief" />
      </span>
    </p>
    {error !== null && <ErrorText error={error} />}
  </li>
)

const BackfillItem = ({ backfill, again }: { readonly backfill: Backfill; readonly again: () => void }) => {
  const { id, plugin_name, state, total, done, jobs, since_event } = backfill
  const pause = async () => {
    await hub.pauseBackfill({ params: { id } })
    again()
    return undefined
  }
  const resume = async () => {
    await hub.beginBackfill({
      payload: {
        ...(plugin_name === null ? {} : { plugin: plugin_name }),
        ...(since_event === null ? {} : { since_event })
      }
    })
    again()
    return undefined
  }
  return (
    <li class="row">
      <span>{plugin_name === null ? "all plugins" : <Name text={plugin_name} />}</span>
      <progress
        max={Math.max(1, total)}
        value={state === "done" ? Math.max(1, total) : done}
        aria-label="Progress"
      />
      <span class="quiet">
        {state}, {done.toLocaleString()} of {total.toLocaleString()} events, {jobs.toLocaleString()} jobs
      </span>
      {state === "running" && <Action run={pause}>Pause</Action>}
      {state === "paused" && <Action run={resume}>Resume</Action>}
    </li>
  )
}

const Backfills = () => {
  const { value, again } = usePolled(() => hub.backfills(), "backfills")
  if (value === undefined || value.backfills.length === 0) return null
  return (
    <section>
      <h2>Backfills</h2>
      <ul class="list">
        {value.backfills.slice(0, 10).map((backfill) => (
          <BackfillItem key={backfill.id} backfill={backfill} again={again} />
        ))}
      </ul>
    </section>
  )
}

export const JobsView = () => {
  const [chosen, choose] = useState<ReadonlyArray<JobState>>(usual)
  const [plugin, setPlugin] = useState("")
  const [count, setCount] = useState(pageSize)
  const query = { state: chosen, limit: count, ...(plugin === "" ? {} : { plugin }) }
  const read = () => (chosen.length === 0 ? Promise.resolve({ jobs: [], next: null }) : hub.jobs({ query }))
  const { value, problem, again } = usePolled(read, JSON.stringify(query))
  const names = usePolled(() => hub.plugins(), "names", 30_000).value?.plugins.map(({ name }) => name) ?? []
  return (
    <section class="page" aria-labelledby="view-title">
      <h1 id="view-title" tabIndex={-1}>
        Jobs
      </h1>
      <div class="row" role="group" aria-label="Filters">
        {states.map((state) => (
          <label key={state}>
            <input
              type="checkbox"
              checked={chosen.includes(state)}
              onChange={(event) => {
                const { checked } = event.currentTarget
                choose(checked ? [...chosen, state] : chosen.filter((one) => one !== state))
                setCount(pageSize)
              }}
            />{" "}
            {state}
          </label>
        ))}
        <label>
          plugin{" "}
          <select value={plugin} onChange={(event) => setPlugin(event.currentTarget.value)}>
            <option value="">all</option>
            <Options of={names} />
          </select>
        </label>
        <Action
          run={async () => {
            const { retried, more } = await hub.retry({ payload: plugin === "" ? {} : { plugin } })
            again()
            return `${retried} ${retried === 1 ? "job runs" : "jobs run"} again${more ? "; retry once more for the others" : ""}.`
          }}
        >
          Retry failed jobs
        </Action>
      </div>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {value !== undefined && value.jobs.length === 0 && (
        <p class="quiet">
          No such jobs. A job is one plugin on one message; it is here while it is queued, waits, or has
          failed.
        </p>
      )}
      <ul class="list">
        {value?.jobs.map((job) => (
          <JobItem key={`${job.message_id} ${job.content_version} ${job.plugin_name}`} job={job} />
        ))}
      </ul>
      {value !== undefined && value.next !== null && count < 1_000 && (
        <button type="button" onClick={() => setCount(Math.min(1_000, count * 2))}>
          Show more
        </button>
      )}
      <Backfills />
    </section>
  )
}
