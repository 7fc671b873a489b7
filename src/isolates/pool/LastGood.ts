/** Plugins that still run an earlier version because their changed files fail to load. */
import { Effect, Fiber, Option } from "effect"
import type { Fork } from "../../Fork.ts"
import { LoadError, type PluginError } from "../../Errors.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { GuestModules } from "../../modules/GuestModules.ts"

export interface LastGood {
  /** Entry files with a loaded version that is kept. */
  readonly kept: ReadonlySet<string>
  /** For each plugin that runs an earlier version: why its files fail to load. */
  readonly outdated: ReadonlyMap<string, PluginError>
  /** Makes the loader keep the version that has loaded. */
  readonly keep: (
    spec: PluginSpec,
    entry: string,
    modules: GuestModules | undefined
  ) => Effect.Effect<unknown>
  /** Whether another try would load the earlier version; if so, warns the operator. */
  readonly canGoBack: (
    spec: PluginSpec,
    entry: string,
    modules: GuestModules | undefined,
    error: PluginError
  ) => Effect.Effect<boolean>
}

/** The answer of a loader, or `None` if it is too busy to answer in time. */
export const soon = <A>(answer: Effect.Effect<A>): Effect.Effect<Option.Option<A>> =>
  Effect.timeoutOption(Effect.interruptible(answer), "100 millis")

export const makeLastGood = (enabled: boolean, fork: Fork): LastGood => {
  const kept = new Set<string>()
  const outdated = new Map<string, PluginError>()
  /** Why the newest files of an entry fail to load, by entry. */
  const problems = new Map<string, PluginError>()

  const problemOf = ({ name, modulePath }: PluginSpec, entry: string): PluginError =>
    problems.get(entry) ??
    new LoadError({ plugin: name, modulePath, reason: "its files have changed and fail to load" })

  return {
    kept,
    outdated,
    keep: (spec, entry, modules) => {
      if (!enabled || modules === undefined) return Effect.void
      kept.add(entry)
      const told = fork(
        Effect.map(modules.loaded, (isEarlier) => {
          if (!isEarlier) outdated.delete(spec.name)
          else if (!outdated.has(spec.name)) outdated.set(spec.name, problemOf(spec, entry))
        })
      )
      return soon(Fiber.await(told))
    },
    canGoBack: Effect.fnUntraced(function* ({ name }, entry, modules, error) {
      if (!enabled || modules === undefined || !(yield* modules.failed)) return false
      outdated.set(name, error)
      problems.set(entry, error)
      yield* Effect.logWarning(
        `Reload failed; still running the previous version until its files change again. ${error.message}`
      )
      return true
    })
  }
}
