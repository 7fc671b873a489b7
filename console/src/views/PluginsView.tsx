/** The plugins of the hub, and how they fare. */
import type { PluginSummary } from "@agentlip/protocol"
import { pathOf } from "../route.ts"
import { hub } from "../session.ts"
import { ratesOf, sample } from "../state/rates.ts"
import { Name, Visible } from "./Name.tsx"
import { Sparkline } from "./Sparkline.tsx"
import { durationText } from "./Time.tsx"
import { usePolled } from "./usePolled.ts"
import { Table } from "./Table.tsx"

export const circuitTexts = {
  closed: "closed: it runs",
  open: "open: paused after failures",
  half_open: "half open: one run probes it"
} as const

/** Outcomes that do not count as failures. */
export const isFine = (outcome: string): boolean =>
  outcome === "ok" || outcome === "interrupted" || outcome === "circuit_open"

export const failuresIn = (runs: PluginSummary["runs"]): number =>
  Object.entries(runs).reduce((sum, [outcome, count]) => (isFine(outcome) ? sum : sum + count), 0)

const Row = ({ plugin }: { readonly plugin: PluginSummary }) => {
  const { name, kind, isolation, circuit, runs, run_ms, outdated, enforcement } = plugin
  const rates = ratesOf(name)
  const failures = failuresIn(runs)
  return (
    <tr>
      <th scope="row">
        <a href={pathOf.plugin(name)}>
          <Name text={name} />
        </a>
        <span class="quiet">
          {" "}
          <Name text={kind} />, {isolation}
          {enforcement === "audit" && ", audit"}
        </span>
        {outdated !== null && (
          <p class="problem">its files no longer load; still running the previous version</p>
        )}
      </th>
      <td>
        <span class={`dot ${circuit.state}`} aria-hidden="true" /> {circuit.state.replace("_", " ")}
      </td>
      <td class="number">{(runs["ok"] ?? 0).toLocaleString()}</td>
      <td class={`number${failures > 0 ? " problem" : ""}`}>{failures.toLocaleString()}</td>
      <td class="number">{run_ms.count === 0 ? "–" : durationText(run_ms.p50)}</td>
      <td class="number">{run_ms.count === 0 ? "–" : durationText(run_ms.p99)}</td>
      <td>
        <Sparkline values={rates} label={`${Math.round(rates.at(-1) ?? 0)} runs a minute`} />
      </td>
    </tr>
  )
}

const read = async () => {
  const found = await hub.plugins()
  sample(found.plugins)
  return found
}

export const PluginsView = () => {
  const { value, problem } = usePolled(read, "plugins")
  return (
    <section class="page" aria-labelledby="view-title">
      <h1 id="view-title" tabIndex={-1}>
        Plugins
      </h1>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {value !== undefined && value.config_problem !== null && (
        <div class="notice" role="alert">
          <p>The config file cannot be used. The hub still runs the previous one.</p>
          <pre>
            <Visible text={value.config_problem} />
          </pre>
        </div>
      )}
      {value?.plugins.length === 0 && (
        <p class="quiet">
          No plugins are configured. Write one: <code>agentlip plugin new tickets</code>, and name it in{" "}
          <code>agentlip.config.ts</code>.
        </p>
      )}
      {value !== undefined && value.plugins.length > 0 && (
        <Table
          label="Table of plugins"
          heads={["plugin", "circuit", "ok", "failed", "median", "p99", "runs a minute"]}
        >
          {value.plugins.map((plugin) => (
            <Row key={plugin.name} plugin={plugin} />
          ))}
        </Table>
      )}
    </section>
  )
}
