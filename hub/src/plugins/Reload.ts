/**
 * Applies changes while the hub runs: of the config file, and of the plugins' modules.
 *
 * **Details**
 *
 * - A changed plugin is loaded before it runs. If loading fails, its previous version keeps running.
 * - A config file with an error changes nothing. The problem is logged and shown by `GET /api/v1/plugins`.
 * - A new plugin runs on messages from then on. Jobs of a removed plugin wait until it is back.
 * - The runtime checks a plugin's files whenever it runs. This module also watches the file named in the config, so
 *   that its author sees a mistake at once.
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
import { Secrets } from "./Secrets.ts"
import { type Refused, Specs } from "./Specs.ts"
import { Workspace } from "../workspace/Workspace.ts"

export interface ReloadOptions extends LoadConfigOptions {
  /** How often to check the files. Default 1 second. */
  readonly interval?: Duration.Input
}

/** Equal for two specs that run in the same way. */
const textOf = ({ kind, ...spec }: ConfiguredSpec): string => JSON.stringify([kind.name, spec])

/** One line that names new, changed and removed plugins; empty if there are none. */
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
  const secrets = yield* Secrets
  const runtime = yield* PluginRuntime
  const workers = yield* WorkerLayer
  const { root } = yield* Workspace

  const refused = new Map<string, Refused>()

  const stateOf = ({ modulePath }: ConfiguredSpec) =>
    Effect.promise(async () => {
      try {
        const { ino, size, mtimeMs } = await fs.promises.stat(modulePath)
        return `${ino} ${size} ${mtimeMs}`
      } catch {
        // The file is gone. A new one will have another state.
        return ""
      }
    })

  /** The state of each module at the last check. */
  const states = new Map<string, string>()
  const keyOf = ({ name, modulePath }: ConfiguredSpec): string => JSON.stringify([name, modulePath])

  /** Decides which spec to use for an entry of the new config. */
  const choose = Effect.fnUntraced(function* (spec: ConfiguredSpec) {
    const { name } = spec
    refused.delete(name)
    const known = specs.current().find((one) => one.name === name)
    if (known !== undefined && textOf(known) === textOf(spec)) return known
    // Record the state before loading: a change during the load must be noticed at the next check.
    states.set(keyOf(spec), yield* stateOf(spec))
    // Register secrets before loading too: the plugin's messages may contain them from now on.
    secrets.learn([spec])
    const loaded = yield* Effect.result(runtime.load(spec))
    if (Result.isSuccess(loaded)) return spec
    const { message } = loaded.failure
    if (known !== undefined) refused.set(name, { spec, error: loaded.failure })
    yield* Effect.annotateLogs(
      known === undefined
        ? Effect.logError(`It is new in the config and does not load. ${message}`)
        : Effect.logError(
            `Its entry in the config has changed and does not load; it goes on as it was. ${message}`
          ),
      { plugin: name }
    )
    return known ?? spec
  })

  /** `readAuth` in the last config. The server keeps the value from its start. */
  let readAuth: boolean | undefined

  const takeUp = Effect.fnUntraced(function* (found: LoadedConfig) {
    if (specs.problem() !== undefined) yield* Effect.logInfo("the config can be used again")
    yield* specs.setProblem(undefined)
    if (readAuth !== undefined && readAuth !== found.readAuth) {
      yield* Effect.logWarning(`readAuth is ${found.readAuth} in the config now; restart the hub to apply it`)
    }
    readAuth = found.readAuth
    const before = specs.current()
    const names = new Set(found.specs.map(({ name }) => name))
    for (const name of refused.keys()) if (!names.has(name)) refused.delete(name)
    const after = yield* Effect.forEach(found.specs, choose, { concurrency: 4 })
    yield* specs.setRefused(new Map(refused))
    const isSame = after.length === before.length && after.every((spec, index) => spec === before[index])
    if (isSame) return
    yield* specs.replace(after)
    const changes = summary(before, after)
    yield* Effect.logInfo(`the config has changed${changes === "" ? "" : ` (${changes})`}`)
  })

  const followConfig = watchConfig(root, { interval, ...options }).pipe(
    Stream.runForEach((found) => {
      if (Result.isSuccess(found)) return takeUp(found.success)
      const message = secrets.config().text(found.failure.message)
      return Effect.andThen(
        specs.setProblem(message),
        Effect.logError(`the config cannot be used; all plugins go on as they were. ${message}`)
      )
    })
  )

  const loadAnew = Effect.fnUntraced(function* (spec: ConfiguredSpec) {
    const loaded = yield* Effect.result(runtime.load(spec))
    if (Result.isFailure(loaded)) {
      return yield* Effect.logError(`Its module has changed and does not load. ${loaded.failure.message}`)
    }
    // Otherwise the runtime has logged the reason.
    if (!(yield* workers.outdated).has(spec.name)) {
      yield* Effect.logInfo(`its module has changed: version ${loaded.success.version}`)
    }
  })

  /** Tries a refused entry again after its module has changed. */
  const chooseAnew = Effect.fnUntraced(function* (spec: ConfiguredSpec) {
    const chosen = yield* choose(spec)
    yield* specs.setRefused(new Map(refused))
    if (chosen !== spec) return
    yield* specs.replace(specs.current().map((one) => (one.name === spec.name ? spec : one)))
    yield* Effect.logInfo("its entry in the config loads now")
  })

  const pending = new Set<string>()
  const followModules = Effect.gen(function* () {
    const entries = [
      ...specs.current().map((spec) => ({ spec, load: loadAnew(spec) })),
      ...Array.from(refused.values(), ({ spec }) => ({ spec, load: chooseAnew(spec) }))
    ]
    const due = new Set<string>()
    for (const [key, spec] of new Map(entries.map(({ spec }) => [keyOf(spec), spec]))) {
      const before = states.get(key)
      const now = yield* stateOf(spec)
      states.set(key, now)
      // Wait until a file has stopped changing: it may still be being written.
      if (before !== undefined && before !== now) pending.add(key)
      else if (pending.delete(key)) due.add(key)
    }
    for (const { spec, load } of entries) {
      if (due.has(keyOf(spec))) yield* Effect.annotateLogs(load, { plugin: spec.name })
    }
  })

  yield* Effect.forkScoped(followConfig)
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(followModules, Effect.sleep(interval))))
})

/** Follows the workspace's config until its scope closes. Pass the same options as at the first load. */
export const layer = (options: ReloadOptions = {}) => Layer.effectDiscard(make(options))
