/** Why a job failed or waits: the run that failed, with the code around the place. */
import type { Job, PluginProblem } from "@agentlip/protocol"
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks"
import { hub } from "../session.ts"
import { ErrorText } from "./ErrorText.tsx"
import { Problem } from "./Problem.tsx"

/** The run that explains the job; `undefined` until it is read, and `null` if the hub has forgotten it. */
const useFailedRun = ({
  state,
  message_id,
  plugin_name,
  ended_at
}: Job): PluginProblem | null | undefined => {
  const [problem, setProblem] = useState<PluginProblem | null | undefined>(undefined)
  useEffect(() => {
    let isOver = false
    const show = (found: PluginProblem | null): void => {
      if (!isOver) setProblem(found)
    }
    hub.pluginRuns({ params: { name: plugin_name } }).then(
      ({ runs }) => {
        // A job that waits has not run: the failures before it opened the circuit.
        const run = runs.find(
          ({ error, message_id: id }) => error !== null && (state === "waiting" || id === message_id)
        )
        show(run?.error ?? null)
      },
      () => show(null)
    )
    return () => void (isOver = true)
  }, [state, message_id, plugin_name, ended_at])
  return problem
}

interface Props {
  readonly job: Job
  /** Called when everything that is known is on the page. */
  readonly onShown: ((reason: HTMLElement) => void) | undefined
}

export const JobReason = ({ job, onShown }: Props) => {
  const problem = useFailedRun(job)
  const element = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    if (problem !== undefined && element.current !== null) onShown?.(element.current)
  }, [problem])
  if (job.error === null) return null
  const found = problem ?? undefined
  if (job.state === "waiting") {
    return (
      <div ref={element}>
        <ErrorText error={job.error} />
        {found !== undefined && (
          <>
            <p>Its latest failure:</p>
            <Problem problem={found} />
          </>
        )}
      </div>
    )
  }
  return (
    <div ref={element}>
      {found === undefined ? <ErrorText error={job.error} /> : <Problem problem={found} />}
    </div>
  )
}
