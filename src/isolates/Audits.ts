/** What plugins in audit mode have used without a grant, kept as the grants they would need. */
import { getOrMake } from "../getOrMake.ts"
import type { Grants } from "../Grants.ts"
import type { ResolvedPlugin } from "./ResolvedPlugin.ts"

export interface Audits {
  /** Takes the reports of one plugin. */
  readonly of: (plugin: string) => ResolvedPlugin["audit"]
  readonly all: () => ReadonlyMap<string, Grants>
}

/** A plugin that uses more than this is not asking for a list. */
const maxEntries = 1_000

type Used = { readonly [Capability in keyof Required<Grants>]: Set<string> }

export const makeAudits = (): Audits => {
  const used = new Map<string, Used>()
  const usedBy = (plugin: string): Used =>
    getOrMake(used, plugin, () => ({ read: new Set(), write: new Set(), net: new Set(), env: new Set() }))
  return {
    of:
      (plugin) =>
      ({ capability, what }) => {
        const entries = usedBy(plugin)[capability]
        if (entries.has(what) || entries.size >= maxEntries) return false
        entries.add(what)
        return true
      },
    all: () =>
      new Map(
        [...used].map(([plugin, { read, write, net, env }]) => [
          plugin,
          { read: [...read], write: [...write], net: [...net], env: [...env] }
        ])
      )
  }
}
