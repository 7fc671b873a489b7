/** The settings of a plugin, and what it used of the machine. */
import type { PluginDetails } from "@agentlip/protocol"
import { pathInWorkspace } from "../session.ts"
import { Name } from "./Name.tsx"
import { durationText } from "./Time.tsx"

export const PluginSettings = ({ plugin }: { readonly plugin: PluginDetails }) => {
  const grants = Object.entries(plugin.grants).flatMap(([what, all]) => all.map((one) => `${what} ${one}`))
  const facts: ReadonlyArray<readonly [string, string]> = [
    ["module", pathInWorkspace(plugin.module_path)],
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
