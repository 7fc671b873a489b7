/** One plugin: its rights, its circuit, how its runs went, and what it can be told to do. */
import { isEvent } from "@agentlip/client"
import type { PluginDetails, PluginFailure, Times } from "@agentlip/protocol"
import { useEffect, useState } from "preact/hooks"
import { hub } from "../session.ts"
import { sample, ratesOf } from "../state/rates.ts"
import { Action } from "./Action.tsx"
import { Name, Visible } from "./Name.tsx"
import { circuitTexts } from "./PluginsView.tsx"
import { Sparkline } from "./Sparkline.tsx"
import { durationText, Time } from "./Time.tsx"
import { usePolled } from "./usePolled.ts"

const isRecord = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The texts in an error that help its author: the place in the source, and the plugin's own stack. */
const placesIn = (error: unknown): ReadonlyArray<string> => {
  if (!isRecord(error)) return []
  const { frame, stack } = error
  const own = [frame, stack].filter((text) => typeof text === "string" && text !== "")
  return [...own.map(String), ...Object.values(error).flatMap(placesIn)]
}

const Failure = ({ failure: { at, code, message, error } }: { readonly failure: PluginFailure }) => (
  <li>
    <p>
      <Time iso={at} form="exact" /> <code>{code}</code>{" "}
      <bdi>
        <Visible text={message} />
      </bdi>
    </p>
    {placesIn(error).map((text) => (
      <pre dir="ltr">
        <Visible text={text} />
      </pre>
    ))}
    <details>
      <summary>JSON</summary>
      <pre dir="ltr">
        <Visible text={JSON.stringify(error, null, 2)} />
      </pre>
    </details>
  </li>
)

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

const Quantiles = ({ name, times }: { readonly name: string; readonly times: Times }) => (
  <tr>
    <th scope="row">{name}</th>
    <td class="number">{times.count.toLocaleString()}</td>
    {[times.p50, times.p95, times.p99, times.max].map((millis, index) => (
      <td key={index} class="number">
        {times.count === 0 ? "–" : durationText(millis)}
      </td>
    ))}
  </tr>
)

const Outcomes = ({ runs }: { readonly runs: PluginDetails["runs"] }) => {
  const all = Object.entries(runs).filter(([, count]) => count > 0)
  const total = all.reduce((sum, [, count]) => sum + count, 0)
  if (total === 0) return <p class="quiet">No runs since the hub started.</p>
  return (
    <ul class="outcomes">
      {all.map(([outcome, count]) => (
        <li key={outcome}>
          <span>{outcome.replaceAll("_", " ")}</span>
          <meter
            class={outcome === "ok" ? "" : "failed"}
            min={0}
            max={total}
            value={count}
            aria-label={outcome}
          />
          <span class="quiet">
            {count.toLocaleString()} ({((count * 100) / total).toFixed(1)} %)
          </span>
        </li>
      ))}
    </ul>
  )
}

const Facts = ({ plugin }: { readonly plugin: PluginDetails }) => {
  const grants = Object.entries(plugin.grants).flatMap(([what, all]) => all.map((one) => `${what} ${one}`))
  const facts: ReadonlyArray<readonly [string, string]> = [
    ["module", plugin.module_path],
    ["level", plugin.isolation + (plugin.sandbox === null ? "" : `, sandbox ${plugin.sandbox}`)],
    ["enforcement", plugin.enforcement],
    ["grants", grants.length === 0 ? "none" : grants.join(", ")],
    ["timeout", durationText(plugin.timeout_ms)],
    ["isolates", plugin.reuse === "never" ? "fresh for each run" : `${plugin.concurrency}, kept warm`],
    ["cache", `${plugin.cache.hits.toLocaleString()} hits, ${plugin.cache.misses.toLocaleString()} misses`],
    ["processor time", plugin.cpu_ms === 0 ? "unknown" : durationText(plugin.cpu_ms)],
    [
      "most memory",
      plugin.peak_memory_bytes === 0 ? "unknown" : `${(plugin.peak_memory_bytes / 1_048_576).toFixed(1)} MiB`
    ]
  ]
  return (
    <dl>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <Name text={value} />
          </dd>
        </div>
      ))}
    </dl>
  )
}

const Circuit = ({ plugin, again }: { readonly plugin: PluginDetails; readonly again: () => void }) => {
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
        {circuit.failures > 0 && `, ${circuit.failures} failures in a row`}. {next}
      </p>
      <div class="row">
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
            return `${retried} jobs run again${more ? "; retry once more for the others" : ""}.`
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

export const PluginView = ({ name }: { readonly name: string }) => {
  const read = async () => {
    const { plugin } = await hub.plugin({ params: { name } })
    sample([plugin])
    return plugin
  }
  const { value: plugin, problem, again } = usePolled(read, name)
  const rates = ratesOf(name)
  return (
    <section class="page" aria-labelledby="view-title">
      <p>
        <a href="/ui/plugins">All plugins</a>
      </p>
      <h1 id="view-title" tabIndex={-1}>
        <Name text={name} />
      </h1>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {plugin !== undefined && (
        <>
          {plugin.outdated !== null && (
            <div class="notice" role="alert">
              <p>Its files no longer load. The hub still runs the previous version.</p>
              <pre>
                <Visible text={`${plugin.outdated.code}: ${plugin.outdated.message}`} />
              </pre>
            </div>
          )}
          <Circuit plugin={plugin} again={again} />
          <section>
            <h2>Runs since the hub started</h2>
            <Outcomes runs={plugin.runs} />
            <p class="quiet">
              <Sparkline values={rates} label="Runs a minute" /> {Math.round(rates.at(-1) ?? 0)} a minute now
            </p>
            <div class="scroll" tabIndex={0} role="region" aria-label="Times of runs">
              <table>
                <thead>
                  <tr>
                    <th scope="col">time</th>
                    <th scope="col">count</th>
                    <th scope="col">median</th>
                    <th scope="col">p95</th>
                    <th scope="col">p99</th>
                    <th scope="col">most</th>
                  </tr>
                </thead>
                <tbody>
                  <Quantiles name="run" times={plugin.run_ms} />
                  <Quantiles name="wait for an isolate" times={plugin.queue_ms} />
                  <Quantiles name="load" times={plugin.load_ms} />
                </tbody>
              </table>
            </div>
          </section>
          {plugin.audit !== null && (
            <section>
              <h2>Audit</h2>
              {plugin.audit.snippet === "" ? (
                <p class="quiet">It has used nothing that it is not granted.</p>
              ) : (
                <>
                  <p>To enforce its grants, write in its entry of the config file:</p>
                  <pre>
                    <Visible text={plugin.audit.snippet} />
                  </pre>
                </>
              )}
            </section>
          )}
          <section>
            <h2>Last errors</h2>
            {plugin.last_errors.length === 0 ? (
              <p class="quiet">None since the hub started.</p>
            ) : (
              <ul class="errors">
                {plugin.last_errors.map((failure) => (
                  <Failure key={failure.at} failure={failure} />
                ))}
              </ul>
            )}
          </section>
          <section>
            <h2>Settings</h2>
            <Facts plugin={plugin} />
          </section>
        </>
      )}
    </section>
  )
}
