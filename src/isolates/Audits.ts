/** What plugins in audit mode have used without a grant, kept as the grants they would need. */
import { getOrMake } from "../getOrMake.ts"
import type { Grants } from "../Grants.ts"
import type { AuditLine } from "../wire/messages.ts"

export type UngrantedUse = AuditLine | { readonly capability: "net"; readonly what: string }

/** The most entries of one plugin and capability: no operator reads a longer list. */
const maxEntries = 1_000

type Used = { readonly [Capability in keyof Required<Grants>]: Set<string> }

export class Audits {
  readonly #used = new Map<string, Used>()

  /** Records a use; `true` if it was not recorded before. */
  add(plugin: string, { capability, what }: UngrantedUse): boolean {
    const used = getOrMake(
      this.#used,
      plugin,
      (): Used => ({ read: new Set(), write: new Set(), net: new Set(), env: new Set() })
    )
    const entries = used[capability]
    if (entries.has(what) || entries.size >= maxEntries) return false
    entries.add(what)
    return true
  }

  /** By plugin. */
  get all(): ReadonlyMap<string, Grants> {
    return new Map(
      [...this.#used].map(([plugin, { read, write, net, env }]) => [
        plugin,
        { read: [...read], write: [...write], net: [...net], env: [...env] }
      ])
    )
  }
}
