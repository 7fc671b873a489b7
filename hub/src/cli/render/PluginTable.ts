/** Formats the plugins of a running hub as a table. */
import { printable } from "@agentlip/plugin-runtime/text"
import type { PluginSummary } from "@agentlip/protocol"
import { table } from "./Output.ts"

const failures = ({ runs }: PluginSummary): number =>
  Object.entries(runs)
    .filter(([outcome]) => outcome !== "ok" && outcome !== "interrupted")
    .reduce((sum, [, count]) => sum + count, 0)

/** One row for each plugin. */
export const pluginTable = (plugins: ReadonlyArray<PluginSummary>): ReadonlyArray<string> =>
  plugins.length === 0
    ? ["No plugins are configured."]
    : table(
        ["PLUGIN", "KIND", "ISOLATION", "CIRCUIT", "OK", "FAILED", "P50 MS", "P99 MS"],
        plugins.map((plugin) => [
          plugin.name,
          plugin.kind,
          plugin.isolation,
          plugin.circuit.state,
          plugin.runs["ok"] ?? 0,
          failures(plugin),
          plugin.run_ms.p50,
          plugin.run_ms.p99
        ])
      )

/** Lines about changed files that could not be used. */
export const troubles = (found: {
  readonly plugins: ReadonlyArray<PluginSummary>
  readonly config_problem: string | null
}): ReadonlyArray<string> => [
  ...found.plugins.flatMap(({ name, outdated }) =>
    outdated === null
      ? []
      : ["", `${name}: reload failed, still running the previous version: ${printable(outdated.message)}`]
  ),
  ...(found.config_problem === null
    ? []
    : ["", `The changed config is not used: ${printable(found.config_problem)}`])
]
