/** Runs per minute of each plugin, from counts that are read now and again. */
import type { PluginSummary } from "@agentlip/protocol"

interface Sample {
  readonly at: number
  readonly runs: number
}

const maxSamples = 61
const samples = new Map<string, ReadonlyArray<Sample>>()

const totalOf = ({ runs }: PluginSummary): number =>
  Object.values(runs).reduce((sum, count) => sum + count, 0)

/** Takes a sample of each plugin. A smaller count than before means that the hub was restarted. */
export const sample = (plugins: ReadonlyArray<PluginSummary>): void => {
  const at = Date.now()
  for (const plugin of plugins) {
    const runs = totalOf(plugin)
    const before = samples.get(plugin.name) ?? []
    const kept = (before.at(-1)?.runs ?? 0) > runs ? [] : before
    samples.set(plugin.name, [...kept, { at, runs }].slice(-maxSamples))
  }
}

/** Runs per minute between the samples, oldest first. */
export const ratesOf = (plugin: string): ReadonlyArray<number> => {
  const all = samples.get(plugin) ?? []
  return all.slice(1).map(({ at, runs }, index) => {
    const before = all[index] ?? { at, runs }
    return ((runs - before.runs) * 60_000) / Math.max(1, at - before.at)
  })
}
