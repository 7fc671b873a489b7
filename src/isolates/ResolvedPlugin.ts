/** What the isolates of a plugin share: its grants resolved to real paths and values, its fetch limits. */
import type { ResolvedGrants } from "../Capabilities.ts"
import type { AuditLine } from "../wire/messages.ts"
import type { Traffic } from "../net/NetSession.ts"
import type { PluginSpec } from "../Plugin.ts"

export type UngrantedUse = AuditLine | { readonly capability: "net"; readonly what: string }

export interface ResolvedPlugin {
  readonly spec: PluginSpec
  readonly grants: ResolvedGrants
  /** Base folder of relative paths in grants. */
  readonly base: string
  /** Records a use without a grant in audit mode; `true` if it was not recorded before. */
  readonly audit: (use: UngrantedUse) => boolean
  /** The fetch limits that all runs share. */
  readonly traffic: Traffic
  /** Keys of the warnings that were logged. */
  readonly noticed: Set<string>
}
