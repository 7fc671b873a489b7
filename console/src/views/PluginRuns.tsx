/** The latest runs of a plugin: what each logged, and why it failed. */
import type { PluginRun } from "@agentlip/protocol"
import { useLayoutEffect, useRef, useState } from "preact/hooks"
import { hub } from "../session.ts"
import { LogLines } from "./LogLines.tsx"
import { Name } from "./Name.tsx"
import { Problem } from "./Problem.tsx"
import { durationText, Time } from "./Time.tsx"
import { usePolled } from "./usePolled.ts"

const atFirst = 10

interface RunProps {
  readonly run: PluginRun
  /** Shown in full from the start. */
  readonly isOpen: boolean
}

const Run = ({ run, isOpen }: RunProps) => {
  const [isOpenAtFirst] = useState(isOpen)
  const { at, message_id, outcome, found, version, queue_ms, run_ms, logs, logs_left_out, error } = run
  const lines = logs.length + logs_left_out
  return (
    <li>
      <details open={isOpenAtFirst}>
        <summary>
          <span class={`dot ${error === null ? "ok" : "failed"}`} aria-hidden="true" />
          <Time iso={at} form="exact" />{" "}
          {found === null ? outcome.replaceAll("_", " ") : `ok, ${found} found`}
          <span class="quiet">
            {run_ms === null ? "" : `, ${durationText(run_ms)}`}
            {lines === 0 ? "" : `, ${lines} log ${lines === 1 ? "line" : "lines"}`}
          </span>
        </summary>
        <p class="quiet">
          on <a href={`/ui#${encodeURIComponent(message_id)}`}>this message</a>
          {version !== null && (
            <>
              , version <Name text={version} />
            </>
          )}
          {run_ms === null
            ? ", not run by an isolate: its result was cached, or it failed before"
            : `, after ${durationText(queue_ms ?? 0)} in the queue`}
        </p>
        {lines === 0 ? (
          <p class="quiet">It logged nothing.</p>
        ) : (
          <LogLines lines={logs} leftOut={logs_left_out} />
        )}
        {error !== null && <Problem problem={error} />}
      </details>
    </li>
  )
}

interface Props {
  readonly name: string
  /** The run on this message gets the focus, once. */
  readonly message: string | undefined
}

export const PluginRuns = ({ name, message }: Props) => {
  const { value, problem } = usePolled(() => hub.pluginRuns({ params: { name } }), name)
  const [onlyFailed, setOnlyFailed] = useState(false)
  const [isAll, setAll] = useState(false)
  const runs = (value?.runs ?? []).filter(({ error }) => !onlyFailed || error !== null)
  const named = message === undefined ? -1 : runs.findIndex(({ message_id }) => message_id === message)
  const shown = isAll ? runs : runs.slice(0, Math.max(atFirst, named + 1))
  const list = useRef<HTMLUListElement>(null)
  const wasFocused = useRef(message === undefined)
  useLayoutEffect(() => {
    if (value === undefined || wasFocused.current) return
    wasFocused.current = true
    const summary = list.current?.children[named]?.querySelector("summary")
    const target = summary ?? document.getElementById("view-title")
    target?.focus()
  }, [value])
  return (
    <section>
      <h2>Latest runs</h2>
      {problem !== undefined && <p class="problem">{problem}</p>}
      <label>
        <input
          type="checkbox"
          checked={onlyFailed}
          onChange={(event) => setOnlyFailed(event.currentTarget.checked)}
        />{" "}
        only failed
      </label>
      {value !== undefined && runs.length === 0 && (
        <p class="quiet">{onlyFailed ? "None of its latest runs failed." : "None since the hub started."}</p>
      )}
      {value !== undefined && message !== undefined && named === -1 && (
        <p class="quiet">The hub does not remember its run on that message any more.</p>
      )}
      <ul class="runs" ref={list}>
        {shown.map((run, index) => (
          <Run
            key={`${run.at} ${run.message_id}`}
            run={run}
            isOpen={index === (named === -1 ? 0 : named) && (named !== -1 || run.error !== null)}
          />
        ))}
      </ul>
      {shown.length < runs.length && (
        <button type="button" onClick={() => setAll(true)}>
          Show all {runs.length}
        </button>
      )}
    </section>
  )
}
