/** A run's network requests: opens the broker's session at the first request. */
import { Effect, Exit, Scope } from "effect"
import { type NetSession, netSession, type NetSessionOptions } from "./NetSession.ts"

export interface LazySession {
  /** Handles a message of the guest for the broker. Returns the problem if the message is invalid. */
  readonly receive: (json: string) => string | undefined
  /** Ends all open requests. */
  readonly close: Effect.Effect<void>
}

/** A session that costs nothing until the plugin's first `fetch`. */
export const lazySession = (options: NetSessionOptions): LazySession => {
  let scope: Scope.Closeable | undefined
  let session: NetSession | undefined
  const open = (): NetSession => {
    scope = Scope.makeUnsafe()
    return Effect.runSync(Scope.provide(netSession(options), scope))
  }
  return {
    receive: (json) => (session ??= open()).receive(json),
    close: Effect.suspend(() => (scope === undefined ? Effect.void : Scope.close(scope, Exit.void)))
  }
}
