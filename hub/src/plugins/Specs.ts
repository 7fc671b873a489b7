/** The plugins that the hub runs: the initial ones, until the config changes. */
import type { ConfiguredSpec, PluginError } from "@agentlip/plugin-runtime"
import { Context, Effect, Layer } from "effect"

/** An entry of the config that is not in use because its plugin failed to load with it. */
export interface Refused {
  readonly spec: ConfiguredSpec
  readonly error: PluginError
}

export class Specs extends Context.Service<
  Specs,
  {
    /** In the order of the config file, without disabled plugins. Returns the same array until the plugins change. */
    readonly current: () => ReadonlyArray<ConfiguredSpec>
    /** Replaces the plugins. Current runs finish as they are; new runs use the new specs. */
    readonly replace: (specs: ReadonlyArray<ConfiguredSpec>) => Effect.Effect<void>
    /** Registers a callback for each change, for the lifetime of this service. */
    readonly onChange: (changed: () => void) => void
    /** The refused entries, by plugin name. */
    readonly refused: () => ReadonlyMap<string, Refused>
    readonly setRefused: (refused: ReadonlyMap<string, Refused>) => Effect.Effect<void>
    /** Why the current config file is not in use; `undefined` if it is. */
    readonly problem: () => string | undefined
    readonly setProblem: (problem: string | undefined) => Effect.Effect<void>
  }
>()("@agentlip/hub/Specs") {
  static readonly layer = (initial: ReadonlyArray<ConfiguredSpec>): Layer.Layer<Specs> =>
    Layer.sync(Specs, () => {
      let current = initial
      let problem: string | undefined
      let refused: ReadonlyMap<string, Refused> = new Map()
      const listeners: Array<() => void> = []
      return Specs.of({
        current: () => current,
        replace: (specs) =>
          Effect.sync(() => {
            current = specs
            for (const changed of listeners) changed()
          }),
        refused: () => refused,
        setRefused: (now) =>
          Effect.sync(() => {
            refused = now
          }),
        onChange: (changed) => void listeners.push(changed),
        problem: () => problem,
        setProblem: (now) =>
          Effect.sync(() => {
            problem = now
          })
      })
    })
}
