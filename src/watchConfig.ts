/** Loads a workspace's config again whenever one of its files changes. */
import { type Duration, Effect, Result, Stream } from "effect"
import * as path from "node:path"
import { loadConfig, type LoadConfigOptions, type LoadedConfig } from "./Config.ts"
import { fileNames, filesOf } from "./config/file.ts"
import type { ConfigError } from "./ConfigError.ts"
import { type FileStates, statesOf } from "./fileStates.ts"
import { realOf } from "./paths.ts"
import { untilChanged } from "./watchFiles.ts"

/** How a config file is watched. */
export interface WatchConfigOptions extends LoadConfigOptions {
  /** How often its files are looked at. Default 1 second. */
  readonly interval?: Duration.Input
}

/**
 * Emits what `loadConfig` finds: at once, and again each time the config file or a file that it imports is changed,
 * created or deleted. A change counts after one interval without another change, so a half-written file is never used.
 * A config that cannot be used is emitted as a failure, and the watch goes on.
 *
 * @example
 * ```ts
 * yield* watchConfig("/srv/chat").pipe(
 *   Stream.runForEach((found) =>
 *     Result.isSuccess(found) ? Effect.log(found.success.specs.length) : Effect.logError(found.failure.message)
 *   )
 * )
 * ```
 */
export const watchConfig = (
  workspaceRoot: string,
  { interval = "1 second", ...options }: WatchConfigOptions = {}
): Stream.Stream<Result.Result<LoadedConfig, ConfigError>> => {
  const root = realOf(path.resolve(workspaceRoot))
  const candidates = fileNames.map((name) => path.join(root, name))

  /** Looked at before the files are read: what changes meanwhile has changed since. */
  const look = (failed: boolean): FileStates => {
    const known = candidates.flatMap((file) => [...filesOf(file).keys()])
    // A file that is missing would come in one of their folders.
    const folders = failed ? known.map((file) => path.dirname(file)) : []
    return statesOf([...candidates, ...known, ...folders])
  }

  const load = Effect.gen(function* () {
    const before = { true: look(true), false: look(false) }
    const found = yield* Effect.result(loadConfig(root, options))
    const failed = Result.isFailure(found)
    const read = candidates.flatMap((file) => [...filesOf(file)])
    const watched = [...look(failed), ...before[`${failed}`], ...read]
    return [found, new Map(watched)] as const
  })

  return Stream.unfold<FileStates | undefined, Result.Result<LoadedConfig, ConfigError>, never, never>(
    undefined,
    (states) =>
      Effect.andThen(
        states === undefined ? Effect.void : untilChanged(states, { look: () => look(true), interval }),
        load
      )
  )
}
