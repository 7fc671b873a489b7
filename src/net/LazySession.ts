/** A run's network requests: opens the broker's session at the first request. */
import { Effect, Exit, Scope } from "effect"
import type { ResolvedGrants } from "../Capabilities.ts"
import type { PluginSpec } from "../Plugin.ts"
import { makeTraffic, type NetSession, netSession, type Traffic } from "./NetSession.ts"

export interface LazySession {
  /** Handles a message of the guest for the broker. Returns the problem if the message is invalid. */
  readonly receive: (json: string) => string | undefined
  /** Ends all open requests. */
  readonly close: Effect.Effect<void>
}

/** The limits that all isolates of a plugin share. */
const trafficOf = new WeakMap<PluginSpec, Traffic>()
const sharedTraffic = (spec: PluginSpec): Traffic => {
  const known = trafficOf.get(spec)
  if (known !== undefined) return known
  const traffic = makeTraffic(spec.limits.fetchConcurrency)
  trafficOf.set(spec, traffic)
  return traffic
}

/** A session that costs nothing until the plugin's first `fetch`. */
export const lazySession = (
  spec: PluginSpec,
  { net }: ResolvedGrants,
  audit: ((what: string) => void) | undefined,
  send: (json: string) => void
): LazySession => {
  let scope: Scope.Closeable | undefined
  let session: NetSession | undefined
  const open = (): NetSession => {
    scope = Scope.makeUnsafe()
    const session = netSession({
      grants: net,
      limits: spec.limits,
      traffic: sharedTraffic(spec),
      send,
      ...(audit === undefined ? {} : { audit })
    })
    return Effect.runSync(Scope.provide(session, scope))
  }
  return {
    receive: (json) => (session ??= open()).receive(json),
    close: Effect.suspend(() => (scope === undefined ? Effect.void : Scope.close(scope, Exit.void)))
  }
}
