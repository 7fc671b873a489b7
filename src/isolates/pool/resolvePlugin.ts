/** Resolves the grants of a spec to real paths and values on this host. */
import { Effect } from "effect"
import { checkRequests, resolveGrants } from "../../Capabilities.ts"
import { makeTraffic } from "../../net/NetSession.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { PrepareError } from "../../PrepareError.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import type { PoolsOptions } from "./PoolHost.ts"

export const resolvePlugin = Effect.fnUntraced(function* (
  spec: PluginSpec,
  { options: { grantsBase: base }, audits, metrics }: PoolsOptions
): Effect.fn.Return<ResolvedPlugin, PrepareError> {
  yield* Effect.fromResult(checkRequests(spec))
  return {
    spec,
    grants: yield* resolveGrants({ level: spec.isolation, grants: spec.grants, base }),
    base,
    audits,
    recorder: metrics.of(spec),
    traffic: makeTraffic(spec.limits.fetchConcurrency),
    noticed: new Set()
  }
})
