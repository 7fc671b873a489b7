/** The plugins that a hub runs: those it was started with, until its config changes. */
import type { ConfiguredSpec, PluginError } from "@agentlip/plugin-runtime"
import { Context, Effect, Layer } from "effect"

/** An entry of the config that its plugin does not go by, because it did not load with it. */
export interface Refused {
  readonly spec: ConfiguredSpec
  readonly error: PluginError
}

export class Specs extends Context.Service<
  Specs,
  {
    /** In the config file's order, without those that are switched off; the same array until they change. */
    readonly current: () => ReadonlyArray<ConfiguredSpec>
    /** What runs goes on as it was; what begins from now on is of the new ones. */
    readonly replace: (specs: ReadonlyArray<ConfiguredSpec>) => Effect.Effect<void>
    /** Called at each change, as long as this service lives. */
    readonly onChange: (changed: () => void) => void
    /** By name. */
    readonly refused: () => ReadonlyMap<string, Refused>
    readonly setRefused: (refused: ReadonlyMap<string, Refused>) => Effect.Effect<void>
    /** Why the config file, as it is now, is not what the hub goes by; `undefined` where it is. */
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
