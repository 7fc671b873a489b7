/** Resolves the grants of a spec to real paths and values on this host. */
import { Effect } from "effect"
import { type ResolvedGrants, requestsProblem, resolveGrants } from "../../Capabilities.ts"
import { LoadError } from "../../Errors.ts"
import { makeTraffic } from "../../net/NetSession.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import type { PoolHost } from "./PoolHost.ts"

export const resolvePlugin = (
  spec: PluginSpec,
  base: string,
  audit: PoolHost["audit"]
): Effect.Effect<ResolvedPlugin, LoadError> => {
  const problem = requestsProblem(spec)
  const grants: Effect.Effect<ResolvedGrants, string> =
    problem === undefined ? resolveGrants(spec.isolation, spec.grants, base) : Effect.fail(problem)
  return Effect.mapBoth(grants, {
    onFailure: (reason) => new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason }),
    onSuccess: (grants): ResolvedPlugin => ({
      spec,
      grants,
      base,
      audit: audit(spec.name),
      traffic: makeTraffic(spec.limits.fetchConcurrency),
      noticed: new Set()
    })
  })
}
