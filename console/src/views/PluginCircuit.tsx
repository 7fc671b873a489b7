/** The circuit of a plugin, and what the plugin can be told to do. */
import { isEvent } from "@agentlip/client"
import type { PluginDetails } from "@agentlip/protocol"
import { useEffect, useState } from "preact/hooks"
import { pathOf } from "../route.ts"
import { hub } from "../session.ts"
import { Action } from "./Action.tsx"
import { circuitTexts } from "./PluginsView.tsx"
import { durationText } from "./Time.tsx"

/** When an open circuit lets a run probe it, by the newest event that opened it. */
const useNextTry = (name: string, isOpen: boolean): string | undefined => {
  const [at, setAt] = useState<number | undefined>(undefined)
  useEffect(() => {
    if (!isOpen) return
    hub.events({ query: { tail: 1_000 } }).then(
      ({ events }) => {
        const opened = events.findLast(
          (event) => event.name === "plugin.circuit_opened" && event.data_json["plugin_name"] === name
        )
        const live = opened && { ...opened, type: "event" as const, data: opened.data_json }
        setAt(
          live !== undefined && isEvent(live, "plugin.circuit_opened")
            ? Date.parse(live.ts) + live.data.retry_after_ms
            : undefined
        )
      },
      () => setAt(undefined)
    )
  }, [name, isOpen])
  if (!isOpen || at === undefined) return undefined
  const left = at - Date.now()
  return left > 0 ? `Next try in ${durationText(left)}.` : "The next run may try."
}

export const PluginCircuit = ({
  plugin,
  again
}: {
  readonly plugin: PluginDetails
  readonly again: () => void
}) => {
  const { name, circuit } = plugin
  const next = useNextTry(name, circuit.state === "open")
  const tell = (run: () => Promise<unknown>) => async () => {
    await run()
    again()
    return undefined
  }
  const params = { name }
  return (
    <section>
      <h2>Circuit</h2>
      <p role="status">
        <span class={`dot ${circuit.state}`} aria-hidden="true" /> {circuitTexts[circuit.state]}
        {circuit.failures > 0 &&
          `, ${circuit.failures} ${circuit.failures === 1 ? "failure" : "failures"} in a row`}
        . {next}
      </p>
      {(circuit.state !== "closed" || circuit.failures > 0) && (
        <p class="quiet">
          Repaired it? The hub loads a file when it is saved.
          {circuit.state !== "closed" && " Close the circuit to let it run at once."} Then retry its failed
          jobs.
        </p>
      )}
      <div class="row">
        <a class="button" href={pathOf.playground(name)}>
          Try it on a text
        </a>
        {circuit.state !== "open" && <Action run={tell(() => hub.trip({ params }))}>Pause the plugin</Action>}
        {circuit.state !== "closed" && (
          <Action class="primary" run={tell(() => hub.reset({ params }))}>
            Close the circuit
          </Action>
        )}
        <Action
          run={async () => {
            const { retried, more } = await hub.retry({ payload: { plugin: name } })
            again()
            return `${retried} ${retried === 1 ? "job runs" : "jobs run"} again${more ? "; retry once more for the others" : ""}.`
          }}
        >
          Retry failed jobs
        </Action>
        <Action
          run={async () => {
            const { backfill } = await hub.beginBackfill({ payload: { plugin: name } })
            return `Backfill of ${backfill.total.toLocaleString()} events; see Jobs.`
          }}
        >
          Run on all messages
        </Action>
      </div>
    </section>
  )
}
