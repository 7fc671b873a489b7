/**
 * The service that loads plugin code: which files a plugin may load, resolution, hashes, the last good version, and
 * TypeScript. Threads do the work, so that a plugin can only delay itself; the host only compares up to 200 paths and
 * copies up to 1 MiB for a plugin whose modules it has kept.
 */
import { Context, Effect, Layer } from "effect"
import { existsSync } from "node:fs"
import { FirstFrames } from "./FirstFrames.ts"
import { GuestModules } from "./GuestModules.ts"
import { KeptVersions } from "./KeptVersions.ts"
import { KnownRequests } from "./KnownRequests.ts"
import { PrepareError, unprepared } from "../PrepareError.ts"
import { LoaderPool, runtimeClosed } from "./LoaderPool.ts"

export interface OpenOptions {
  readonly integrity?: string
  /** Whether to run the last good version if the plugin's files change and fail to load. */
  readonly keep: boolean
}

export class ModuleLoader extends Context.Service<
  ModuleLoader,
  {
    /** The modules for a guest whose plugin is at `entry`. Fails if the file does not exist or the runtime is closed. */
    readonly open: (entry: string, options: OpenOptions) => Effect.Effect<GuestModules, PrepareError>
    /** Starts the first thread. Without it, the first `open` does. */
    readonly start: Effect.Effect<void>
  }
>()("@agentlip/plugin-runtime/modules/ModuleLoader") {
  static readonly make = Effect.gen(function* () {
    const pool = yield* Effect.acquireRelease(
      Effect.sync(() => new LoaderPool()),
      (pool) => Effect.promise(() => pool.close())
    )
    let started: Promise<void> | undefined
    // After closing, starting a thread would leak it.
    const start = Effect.suspend(() =>
      pool.closed ? Effect.void : Effect.promise(() => (started ??= pool.start()))
    )
    const known = new KnownRequests()
    const frames = new FirstFrames()
    const kept = new KeptVersions()
    let guests = 0
    return ModuleLoader.of({
      start,
      open: (entry, { integrity, keep }) =>
        Effect.flatMap(start, () => {
          if (pool.closed) return Effect.fail(new PrepareError({ reason: runtimeClosed, isClosed: true }))
          if (!existsSync(entry))
            return Effect.fail(unprepared("there is no such file", "correct the modulePath"))
          const plugin = integrity === undefined ? { entry } : { entry, integrity }
          return Effect.succeed(
            new GuestModules({ guest: guests++, plugin, pool, known, frames, kept, keep })
          )
        })
    })
  })

  static readonly layer = Layer.effect(this)(this.make)
}
