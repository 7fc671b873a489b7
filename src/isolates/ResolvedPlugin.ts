/** What an isolate is used for, and by whose leave. */
import type { ResolvedGrants } from "../Capabilities.ts"
import type { AuditLine } from "../wire/messages.ts"
import type { PluginSpec } from "../Plugin.ts"

export type UngrantedUse = AuditLine | { readonly capability: "net"; readonly what: string }

export interface ResolvedPlugin {
  readonly spec: PluginSpec
  readonly grants: ResolvedGrants
  /** Where relative paths of grants start. */
  readonly base: string
  /** Told what a plugin in audit mode uses without a grant; answers whether that is news. */
  readonly audit: (use: UngrantedUse) => boolean
  /** What its operator has been told of once, by keys. */
  readonly noticed: Set<string>
}
