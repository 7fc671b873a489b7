/** What the pools of all plugins on a level share. */
import type { Effect } from "effect"
import type { PluginError } from "../../Errors.ts"
import type { Fork } from "../../Fork.ts"
import type { PluginMetrics } from "../../Metrics.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { Audits } from "../Audits.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import type { IsolateOwner, PluginIsolate } from "./PluginIsolate.ts"
import type { Submitted } from "./Waiter.ts"

export interface PoolHost {
  /** Base folder of relative paths in grants. */
  readonly grantsBase: string
  /** Milliseconds after which an isolate is replaced. */
  readonly maxAge: number
  /** Runs after which an isolate is replaced. */
  readonly maxRuns: number
  readonly audits: Audits
  readonly metrics: PluginMetrics["Service"]
  /** The error for every run while no isolate may be made; `undefined` otherwise. */
  readonly refusal: (spec: PluginSpec) => PluginError | undefined
  /** Starts an effect that is interrupted when the level closes. */
  readonly fork: Fork
  /** Boots an isolate, or takes a spare, and makes it load the plugin. Only the load and waits can be interrupted. */
  readonly make: (
    resolved: ResolvedPlugin,
    owner: IsolateOwner,
    submission: Submitted
  ) => Effect.Effect<PluginIsolate, PluginError>
  /** Whether the files that an isolate has loaded have changed; `false` if that is not known in time. */
  readonly hasChanged: (isolate: PluginIsolate) => Effect.Effect<boolean>
  readonly busy: (isolate: PluginIsolate) => void
  readonly idle: (isolate: PluginIsolate) => void
  /** Ends an isolate in the background. */
  readonly discard: (isolate: PluginIsolate) => void
  /** Boots a spare to replace the one that became this isolate. */
  readonly fill: (isolate: PluginIsolate) => void
  /** Records an isolate that did not die. */
  readonly undead: (isolate: PluginIsolate) => Effect.Effect<void>
  readonly hasEarlier: (spec: PluginSpec) => boolean
}
