/** Plugins that still run an earlier version because their changed files fail to load. */
import { Effect, Fiber, Option } from "effect"
import * as path from "node:path"
import { LoadError, type PluginError } from "../../Errors.ts"
import type { Fork } from "../../Fork.ts"
import type { GuestModules } from "../../modules/GuestModules.ts"
import type { PluginSpec } from "../../Plugin.ts"

/** What a loader says, or `None` if it is too busy to say it in time. */
export const soon = <A>(answer: Effect.Effect<A>): Effect.Effect<Option.Option<A>> =>
  Effect.timeoutOption(Effect.interruptible(answer), "100 millis")

const entryOf = ({ modulePath }: PluginSpec): string => path.resolve(modulePath)

export class LastGood {
  readonly isEnabled: boolean
  readonly #fork: Fork
  /** Entry files with a loaded version that is kept. */
  readonly #kept = new Set<string>()
  /** Why the newest files of an entry fail to load, by entry. */
  readonly #problems = new Map<string, PluginError>()
  readonly #outdated = new Map<string, PluginError>()

  constructor(isEnabled: boolean, fork: Fork) {
    this.isEnabled = isEnabled
    this.#fork = fork
  }

  /** For each plugin that runs an earlier version: why its files fail to load. */
  get outdated(): ReadonlyMap<string, PluginError> {
    return this.#outdated
  }

  /** Whether an earlier version of the plugin is kept. */
  hasEarlier(spec: PluginSpec): boolean {
    return this.#kept.has(entryOf(spec))
  }

  /** Makes the loader keep the version that has loaded. */
  keep(spec: PluginSpec, modules: GuestModules | undefined): Effect.Effect<unknown> {
    if (!this.isEnabled || modules === undefined) return Effect.void
    this.#kept.add(entryOf(spec))
    const told = this.#fork(
      Effect.map(modules.loaded, (isEarlier) => {
        if (!isEarlier) this.#outdated.delete(spec.name)
        else if (!this.#outdated.has(spec.name)) this.#outdated.set(spec.name, this.#problemOf(spec))
      })
    )
    return soon(Fiber.await(told))
  }

  #problemOf(spec: PluginSpec): PluginError {
    const { name, modulePath } = spec
    return (
      this.#problems.get(entryOf(spec)) ??
      new LoadError({ plugin: name, modulePath, reason: "its files have changed and fail to load" })
    )
  }

  /** Whether another try would load the earlier version; if so, warns the operator. */
  canGoBack(spec: PluginSpec, modules: GuestModules | undefined, error: PluginError): Effect.Effect<boolean> {
    if (!this.isEnabled || modules === undefined) return Effect.succeed(false)
    return Effect.flatMap(modules.failed, (hasEarlier) => {
      if (!hasEarlier) return Effect.succeed(false)
      this.#outdated.set(spec.name, error)
      this.#problems.set(entryOf(spec), error)
      const warning = `Reload failed; still running the previous version until its files change again. ${error.message}`
      return Effect.as(Effect.logWarning(warning), true)
    })
  }
}
