/** The plugins that a hub runs: those it was started with, until its config changes. */
import type { ConfiguredSpec } from "@agentlip/plugin-runtime"
import { Context, Effect, Layer } from "effect"

export class Specs extends Context.Service<
  Specs,
  {
    /** In the config file's order, without those that are switched off; the same array until they change. */
    readonly current: () => ReadonlyArray<ConfiguredSpec>
    /** What runs goes on as it was; what begins from now on is of the new ones. */
    readonly replace: (specs: ReadonlyArray<ConfiguredSpec>) => Effect.Effect<void>
    /** Called at each change, as long as this service lives. */
    readonly onChange: (changed: () => void) => void
    /** Why the config file, as it is now, is not what the hub goes by; `undefined` where it is. */
    readonly problem: () => string | undefined
    readonly setProblem: (problem: string | undefined) => Effect.Effect<void>
  }
>()("@agentlip/hub/Specs") {
  static readonly layer = (initial: ReadonlyArray<ConfiguredSpec>): Layer.Layer<Specs> =>
    Layer.sync(Specs, () => {
      let current = initial
      let problem: string | undefined
      const listeners: Array<() => void> = []
      return Specs.of({
        current: () => current,
        replace: (specs) =>
          Effect.sync(() => {
            current = specs
            for (const changed of listeners) changed()
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
