/** Waits until a plugin's modules change. */
import { type Duration, Effect, Result } from "effect"
import * as path from "node:path"
import { haveChanged, statesOf } from "./fileStates.ts"
import { hashModules } from "./modules/hashModules.ts"
import { untilChanged } from "./watchFiles.ts"

/** How a plugin's modules are watched. */
export interface WatchModuleOptions {
  /** Other files that the plugin depends on. Default none. */
  readonly also?: ReadonlyArray<string>
  /** How often the files are checked. Default 200 milliseconds. */
  readonly interval?: Duration.Input
}

/** The files of a plugin, as they were when the watch began. */
export interface WatchedModule {
  /** The module, every file that it imports, and `also`; absolute paths. Also the folders in which an import is missing. */
  readonly files: ReadonlyArray<string>
  /** Returns the files that have changed: after a change, when nothing has changed for one interval. */
  readonly changed: Effect.Effect<ReadonlyArray<string>>
}

/**
 * Remembers how a plugin's module and all files that it imports are now. Runs nothing of them. A file that is missing or
 * does not compile is watched too, so that its repair is a change.
 *
 * @example
 * ```ts
 * const watched = yield* watchModule("/srv/plugins/urls.ts")
 * yield* runtime.load(spec)
 * const changed = yield* watched.changed
 * ```
 */
export const watchModule = Effect.fn("watchModule")(function* (
  modulePath: string,
  { also = [], interval = "200 millis" }: WatchModuleOptions = {}
): Effect.fn.Return<WatchedModule> {
  const entry = path.resolve(modulePath)
  const hashed = yield* Effect.result(hashModules(entry))
  const others = also.map((file) => path.resolve(file))
  const states = statesOf([entry, ...(Result.isSuccess(hashed) ? hashed.success.files : []), ...others])
  const files = [...states.keys()]
  const changed = Effect.map(untilChanged(states, { look: () => statesOf(files), interval }), () =>
    files.filter((file) => haveChanged(new Map([[file, states.get(file) ?? ""]])))
  )
  return { files, changed }
})
