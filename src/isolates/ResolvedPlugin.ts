/** What the isolates of a plugin share: its grants resolved to real paths and values, its fetch limits, its records. */
import type { ResolvedGrants } from "../Capabilities.ts"
import type { PluginRecorder } from "../Metrics.ts"
import type { Traffic } from "../net/NetSession.ts"
import type { PluginSpec } from "../Plugin.ts"
import type { Audits } from "./Audits.ts"

export interface ResolvedPlugin {
  readonly spec: PluginSpec
  readonly grants: ResolvedGrants
  /** Base folder of relative paths in grants. */
  readonly base: string
  readonly audits: Audits
  readonly recorder: PluginRecorder
  /** The fetch limits that all runs share. */
  readonly traffic: Traffic
  /** Keys of the warnings that were logged. */
  readonly noticed: Set<string>
}
