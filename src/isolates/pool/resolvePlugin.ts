/** Resolves the grants of a spec to real paths and values on this host. */
import { Effect } from "effect"
import { checkRequests, resolveGrants } from "../../Capabilities.ts"
import { makeTraffic } from "../../net/NetSession.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { PrepareError } from "../../PrepareError.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import type { PoolHost } from "./PoolHost.ts"

export const resolvePlugin = (
  spec: PluginSpec,
  base: string,
  audit: PoolHost["audit"]
): Effect.Effect<ResolvedPlugin, PrepareError> =>
  Effect.map(
    Effect.andThen(
      Effect.fromResult(checkRequests(spec)),
      resolveGrants({ level: spec.isolation, grants: spec.grants, base })
    ),
    (grants): ResolvedPlugin => ({
      spec,
      grants,
      base,
      audit: audit(spec.name),
      traffic: makeTraffic(spec.limits.fetchConcurrency),
      noticed: new Set()
    })
  )
