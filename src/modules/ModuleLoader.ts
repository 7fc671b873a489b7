/**
 * The service that loads plugin code: which files a plugin may load, what they mean by each other's names, their
 * hashes, their last good version, TypeScript. All of it happens in threads that a plugin can hold for itself only.
 */
import { Context, Effect, Layer } from "effect"
import { existsSync } from "node:fs"
import { GuestModules } from "./GuestModules.ts"
import { KeptVersions } from "./KeptVersions.ts"
import { KnownRequests } from "./KnownRequests.ts"
import { LoaderPool, runtimeClosed } from "./LoaderPool.ts"

export interface OpenOptions {
  readonly integrity?: string
  /** Whether the plugin is to go on as it was if its files change and do not load. */
  readonly keep: boolean
}

/** Serves modules to guests. */
export class ModuleLoader extends Context.Service<
  ModuleLoader,
  {
    /** The modules of a guest whose plugin is at `entry`; a missing entry is the failure, as a text. */
    readonly open: (entry: string, options: OpenOptions) => Effect.Effect<GuestModules, string>
  }
>()("@agentlip/plugin-runtime/modules/ModuleLoader") {
  static readonly layer = Layer.effect(
    ModuleLoader,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function* () {
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => new LoaderPool()),
    (pool) => Effect.promise(() => pool.close())
  )
  yield* Effect.promise(() => pool.start())
  const known = new KnownRequests()
  const kept = new KeptVersions()
  let guests = 0
  return ModuleLoader.of({
    open: (entry, { integrity, keep }) =>
      Effect.suspend(() => {
        // A late caller must not start a thread that nobody would end.
        if (pool.closed) return Effect.fail(runtimeClosed)
        if (!existsSync(entry)) return Effect.fail("there is no such file; correct the modulePath")
        const plugin = integrity === undefined ? { entry } : { entry, integrity }
        return Effect.succeed(new GuestModules({ guest: guests++, plugin, pool, known, kept, keep }))
      })
  })
})
