/** `agentlip plugin show` */
import { printableLine } from "@agentlip/plugin-runtime/text"
import type { PluginDetails, Times } from "@agentlip/protocol"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { pluginNameArgument } from "../../flags/PluginName.ts"
import { connect } from "../../hub/HubClient.ts"
import { counted } from "../../render/counted.ts"
import { show, table } from "../../render/Output.ts"

const facts = (plugin: PluginDetails): ReadonlyArray<readonly [string, string]> => {
  const { circuit, enforcement, sandbox, cache, cpu_ms, peak_memory_bytes } = plugin
  const grants = Object.entries(plugin.grants).flatMap(([what, all]) => all.map((one) => `${what} ${one}`))
  const runs = Object.entries(plugin.runs).filter(([, count]) => count > 0)
  return [
    ["kind", plugin.kind],
    ["module", plugin.module_path],
    [
      "circuit",
      circuit.failures === 0
        ? circuit.state
        : `${circuit.state}, ${counted(circuit.failures, "failure")} in a row`
    ],
    ["isolation", sandbox === null ? plugin.isolation : `${plugin.isolation}, sandbox ${sandbox}`],
    [
      "grants",
      `${grants.length === 0 ? "none" : grants.join(", ")}${enforcement === "audit" ? ", not enforced (audit)" : ""}`
    ],
    ["timeout", `${plugin.timeout_ms} ms`],
    ["isolates", plugin.reuse === "never" ? "fresh for each run" : `${plugin.concurrency}, kept warm`],
    [
      "runs",
      runs.length === 0
        ? "none since the hub started"
        : runs.map(([outcome, count]) => `${count} ${outcome}`).join(", ")
    ],
    ["cache", `${counted(cache.hits, "hit")}, ${counted(cache.misses, "miss", "misses")}`],
    ["cpu", cpu_ms === 0 ? "unknown" : `${cpu_ms} ms`],
    [
      "memory",
      peak_memory_bytes === 0 ? "unknown" : `at most ${(peak_memory_bytes / 2 ** 20).toFixed(1)} MiB`
    ]
  ]
}

const timesRow = (name: string, { count, p50, p95, p99, max }: Times) => [name, count, p50, p95, p99, max]

const render = (plugin: PluginDetails): ReadonlyArray<string> => {
  const { name, outdated, audit, last_errors, run_ms, queue_ms, load_ms } = plugin
  return [
    printableLine(name),
    ...facts(plugin).map(([what, value]) => `  ${what.padEnd(9)}  ${printableLine(value)}`),
    "",
    ...table(
      ["MS", "COUNT", "P50", "P95", "P99", "MAX"],
      [timesRow("run", run_ms), timesRow("queue", queue_ms), timesRow("load", load_ms)]
    ),
    ...(outdated === null
      ? []
      : ["", `Reload failed, still running the previous version: ${printableLine(outdated.message)}`]),
    ...(audit === null || audit.snippet === ""
      ? []
      : ["", `To run without audit, write in its entry of the config file: ${printableLine(audit.snippet)}`]),
    ...(last_errors.length === 0
      ? []
      : [
          "",
          "Last errors",
          ...last_errors.map(({ at, code, message }) => printableLine(`  ${at}  ${code}: ${message}`))
        ])
  ]
}

export const pluginShow = Command.make(
  "show",
  { name: pluginNameArgument },
  Effect.fnUntraced(function* ({ name }) {
    const hub = yield* connect
    const found = yield* hub.ask((api) => api.reads.plugin({ params: { name } }))
    yield* show(found, () => render(found.plugin))
  })
).pipe(
  Command.withDescription("Show a plugin of the running hub: settings, circuit, times and last errors"),
  Command.withExamples([{ command: "agentlip plugin show hashtags" }])
)
