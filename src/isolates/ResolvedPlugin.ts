/** A plugin whose grants are resolved to real paths and values: what its isolates are made for. */
import type { ResolvedGrants } from "../Capabilities.ts"
import type { AuditLine } from "../wire/messages.ts"
import type { PluginSpec } from "../Plugin.ts"

export type UngrantedUse = AuditLine | { readonly capability: "net"; readonly what: string }

export interface ResolvedPlugin {
  readonly spec: PluginSpec
  readonly grants: ResolvedGrants
  /** Base folder of relative paths in grants. */
  readonly base: string
  /** Records a use without a grant in audit mode; `true` if it was not recorded before. */
  readonly audit: (use: UngrantedUse) => boolean
  /** Keys of warnings that the operator has already had. */
  readonly noticed: Set<string>
}
