/** How the runs of a plugin ended, and how long they took. */
import type { PluginDetails, Times } from "@agentlip/protocol"
import { ratesOf } from "../state/rates.ts"
import { isFine } from "./PluginsView.tsx"
import { Sparkline } from "./Sparkline.tsx"
import { durationText } from "./Time.tsx"
import { Table } from "./Table.tsx"

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
            class={outcome === "ok" ? "" : isFine(outcome) ? "neutral" : "failed"}
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

export const PluginTimes = ({ plugin }: { readonly plugin: PluginDetails }) => {
  const rates = ratesOf(plugin.name)
  return (
    <section>
      <h2>Runs since the hub started</h2>
      <Outcomes runs={plugin.runs} />
      <p class="quiet">
        {rates.length > 1 && <Sparkline values={rates} label="Runs a minute" />}{" "}
        {Math.round(rates.at(-1) ?? 0)} a minute now
      </p>
      <Table label="Times of runs" heads={["time", "count", "median", "p95", "p99", "most"]}>
        <Quantiles name="run" times={plugin.run_ms} />
        <Quantiles name="wait for an isolate" times={plugin.queue_ms} />
        <Quantiles name="load" times={plugin.load_ms} />
      </Table>
    </section>
  )
}
