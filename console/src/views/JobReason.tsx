/** Why a job failed or waits: the run that failed, with the code around the place. */
import type { Job, PluginProblem } from "@agentlip/protocol"
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks"
import { hub } from "../session.ts"
import { ErrorText } from "./ErrorText.tsx"
import { Problem } from "./Problem.tsx"

/** The run that explains the job; `undefined` until it is read, and if the hub has forgotten it. */
const useFailedRun = ({ state, message_id, plugin_name, ended_at }: Job): PluginProblem | undefined => {
  const [problem, setProblem] = useState<PluginProblem | undefined>(undefined)
  useEffect(() => {
    hub.pluginRuns({ params: { name: plugin_name } }).then(
      ({ runs }) => {
        // A job that waits has not run: the failures before it opened the circuit.
        const run = runs.find(
          ({ error, message_id: id }) => error !== null && (state === "waiting" || id === message_id)
        )
        setProblem(run?.error ?? undefined)
      },
      () => setProblem(undefined)
    )
  }, [state, message_id, plugin_name, ended_at])
  return problem
}

export const JobReason = ({ job }: { readonly job: Job }) => {
  const problem = useFailedRun(job)
  const element = useRef<HTMLDivElement>(null)
  // At the end of a list, it would open below what is in sight.
  useLayoutEffect(() => element.current?.scrollIntoView({ block: "nearest" }), [problem])
  if (job.error === null) return null
  if (job.state === "waiting") {
    return (
      <div ref={element}>
        <ErrorText error={job.error} />
        {problem !== undefined && (
          <>
            <p>Its latest failure, on an earlier message:</p>
            <Problem problem={problem} />
          </>
        )}
      </div>
    )
  }
  return (
    <div ref={element}>
      {problem === undefined ? <ErrorText error={job.error} /> : <Problem problem={problem} />}
    </div>
  )
}
