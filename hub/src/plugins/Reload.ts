/**
 * Takes up what changes while the hub runs: its config file, and the modules of its plugins.
 *
 * **Details**
 *
 * - A changed plugin is loaded before it is run: as long as it does not load it goes on as it was.
 * - A config file that cannot be used changes nothing. Its problem is logged, and `GET /api/v1/plugins` tells it.
 * - A new plugin sees messages from then on. Jobs of one that is gone wait until it is back.
 * - Plugins look after their files themselves when they run; here the module that the config names is looked at too, so
 *   that its author hears of a mistake at once.
 */
import {
  type ConfiguredSpec,
  type LoadConfigOptions,
  type LoadedConfig,
  PluginRuntime,
  watchConfig,
  WorkerLayer
} from "@agentlip/plugin-runtime"
import { Duration, Effect, Layer, Result, Stream } from "effect"
import * as fs from "node:fs"
import { Specs } from "./Specs.ts"
import { Workspace } from "../workspace/Workspace.ts"

export interface ReloadOptions extends LoadConfigOptions {
  /** How often files are looked at. Default 1 second. */
  readonly interval?: Duration.Input
}

/** Whether two specs are the same to whoever runs them. */
const textOf = ({ kind, ...spec }: ConfiguredSpec): string => JSON.stringify([kind.name, spec])

/** What has become of the plugins, in a line; empty where nothing has. */
const summary = (before: ReadonlyArray<ConfiguredSpec>, after: ReadonlyArray<ConfiguredSpec>): string => {
  const names = (specs: ReadonlyArray<ConfiguredSpec>): string => specs.map(({ name }) => name).join(", ")
  const [had, have] = [before, after].map((specs) => new Map(specs.map((spec) => [spec.name, spec])))
  const parts = {
    new: after.filter(({ name }) => !had?.has(name)),
    changed: after.filter((spec) => had?.has(spec.name) && had.get(spec.name) !== spec),
    gone: before.filter(({ name }) => !have?.has(name))
  }
  return Object.entries(parts)
    .flatMap(([what, specs]) => (specs.length === 0 ? [] : [`${what}: ${names(specs)}`]))
    .join("; ")
}

const make = Effect.fnUntraced(function* ({ interval = "1 second", ...options }: ReloadOptions) {
  const specs = yield* Specs
  const runtime = yield* PluginRuntime
  const workers = yield* WorkerLayer
  const { root } = yield* Workspace

  /** The spec to go by for one that the config has now. */
  const choose = Effect.fnUntraced(function* (spec: ConfiguredSpec) {
    const known = specs.current().find(({ name }) => name === spec.name)
    if (known !== undefined && textOf(known) === textOf(spec)) return known
    const loaded = yield* Effect.result(runtime.load(spec))
    if (Result.isSuccess(loaded)) return spec
    const { message } = loaded.failure
    yield* Effect.annotateLogs(
      known === undefined
        ? Effect.logError(`It is new in the config and does not load. ${message}`)
        : Effect.logError(
            `Its entry in the config has changed and does not load; it goes on as it was. ${message}`
          ),
      { plugin: spec.name }
    )
    return known ?? spec
  })

  const takeUp = Effect.fnUntraced(function* (found: LoadedConfig) {
    yield* specs.setProblem(undefined)
    const before = specs.current()
    const after = yield* Effect.forEach(found.specs, choose, { concurrency: 4 })
    const isSame = after.length === before.length && after.every((spec, index) => spec === before[index])
    if (isSame) return
    yield* specs.replace(after)
    const changes = summary(before, after)
    yield* Effect.logInfo(`the config has changed${changes === "" ? "" : ` (${changes})`}`)
  })

  const followConfig = watchConfig(root, { interval, ...options }).pipe(
    Stream.runForEach((found) => {
      if (Result.isSuccess(found)) return takeUp(found.success)
      const { message } = found.failure
      return Effect.andThen(
        specs.setProblem(message),
        Effect.logError(`the config cannot be used; all plugins go on as they were. ${message}`)
      )
    })
  )

  const stateOf = ({ modulePath }: ConfiguredSpec) =>
    Effect.promise(async () => {
      try {
        const { ino, size, mtimeMs } = await fs.promises.stat(modulePath)
        return `${ino} ${size} ${mtimeMs}`
      } catch {
        // Gone: what comes in its place will have another state.
        return ""
      }
    })

  const loadAnew = Effect.fnUntraced(function* (spec: ConfiguredSpec) {
    const loaded = yield* Effect.result(runtime.load(spec))
    if (Result.isFailure(loaded)) {
      return yield* Effect.logError(`Its module has changed and does not load. ${loaded.failure.message}`)
    }
    // Otherwise the runtime has said why.
    if (!(yield* workers.outdated).has(spec.name)) {
      yield* Effect.logInfo(`its module has changed: version ${loaded.success.version}`)
    }
  })

  const known = new Map<string, string>()
  const pending = new Set<string>()
  const followModules = Effect.gen(function* () {
    for (const spec of specs.current()) {
      const { name, modulePath } = spec
      const before = known.get(modulePath)
      const now = yield* stateOf(spec)
      known.set(modulePath, now)
      // One that is being written is loaded once it stays as it is.
      if (before !== undefined && before !== now) pending.add(name)
      else if (pending.delete(name)) yield* Effect.annotateLogs(loadAnew(spec), { plugin: name })
    }
  })

  yield* Effect.forkScoped(followConfig)
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(followModules, Effect.sleep(interval))))
})

/** Follows the config of the workspace as long as its scope is open. `options` are those it was first loaded with. */
export const layer = (options: ReloadOptions = {}) => Layer.effectDiscard(make(options))
