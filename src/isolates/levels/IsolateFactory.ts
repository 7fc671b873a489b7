/** Boots the isolates of one isolation level; the port that each level implements. */
import type { Effect } from "effect"
import type { IsolationLevel, ResolvedGrants } from "../../Capabilities.ts"
import type { Fork } from "../../Fork.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { PrepareError } from "../../PrepareError.ts"
import type { Isolate } from "../isolate/Isolate.ts"
import type { Death } from "../isolate/Transport.ts"

/** What an isolate gets when it boots and can never change. Plugins with equal options share spares. */
export interface BootOptions {
  readonly read: ReadonlyArray<string>
  readonly write: ReadonlyArray<string>
  readonly audit: boolean
  /** MiB, if the level sets its limit at boot. */
  readonly memory?: number
  readonly bubblewrap?: boolean
}

export interface IsolateFactory {
  readonly name: IsolationLevel
  /** For a spec without grants and with default limits. */
  readonly standardBootOptions: BootOptions
  /** Fails if the level cannot run the spec. */
  readonly bootOptionsFor: (
    spec: PluginSpec,
    grants: ResolvedGrants
  ) => Effect.Effect<BootOptions, PrepareError>
  /** Boots an isolate; succeeds when it has said hello. */
  readonly boot: (bootOptions: BootOptions, fork: Fork) => Effect.Effect<Isolate, Death>
}

/** The boot options of a level that sets permissions only. */
export const permissionsOf = (
  spec: PluginSpec,
  { read, write }: Pick<ResolvedGrants, "read" | "write">
): BootOptions => ({ read, write, audit: spec.enforcement === "audit" })

export const noPermissions: BootOptions = { read: [], write: [], audit: false }
