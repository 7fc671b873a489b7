/** An isolation level, as the pool sees it. */
import type { Effect } from "effect"
import type { IsolationLevel, ResolvedGrants } from "../Capabilities.ts"
import type { PluginSpec } from "../Plugin.ts"
import type { Isolate } from "./Isolate.ts"
import type { Death } from "./Transport.ts"

/** What an isolate is given when it is born and never after; plugins of the same birth use the same spares. */
export interface Birth {
  readonly read: ReadonlyArray<string>
  readonly write: ReadonlyArray<string>
  readonly audit: boolean
  /** MiB, where the level sets its limit at birth. */
  readonly memory?: number
  readonly bubblewrap?: boolean
}

export interface Level {
  readonly name: IsolationLevel
  /** Of a spec that asks for nothing. */
  readonly standardBirth: Birth
  /** Fails with why the level cannot run the spec, and the remedy. */
  readonly birthOf: (spec: PluginSpec, grants: ResolvedGrants) => Effect.Effect<Birth, string>
  /** An isolate that has said hello, or none. */
  readonly boot: (birth: Birth) => Effect.Effect<Isolate, Death>
}

/** What a level that sets nothing but permissions is born with. */
export const permissionsOf = (
  spec: PluginSpec,
  { read, write }: Pick<ResolvedGrants, "read" | "write">
): Birth => ({ read, write, audit: spec.enforcement === "audit" })

export const noPermissions: Birth = { read: [], write: [], audit: false }
