/** The plugins whose jobs wait for their circuit. Their open jobs are shown as `waiting`. */
import type { JobError } from "@agentlip/protocol"
import { Context, Layer } from "effect"

export class PausedPlugins extends Context.Service<
  PausedPlugins,
  {
    /** Shows every open job of a plugin as `waiting`, new ones too, until `resume`. */
    readonly pause: (plugin: string, error: JobError) => void
    readonly resume: (plugin: string) => void
    /** Why the jobs of a plugin wait; `undefined` if they do not. */
    readonly errorOf: (plugin: string) => JobError | undefined
  }
>()("@agentlip/hub/PausedPlugins") {
  /** Kept in memory like the breakers, so that an opening breaker does not update every open job in the database. */
  static readonly layer: Layer.Layer<PausedPlugins> = Layer.sync(PausedPlugins, () => {
    const errors = new Map<string, JobError>()
    return PausedPlugins.of({
      pause: (plugin, error) => void errors.set(plugin, error),
      resume: (plugin) => void errors.delete(plugin),
      errorOf: (plugin) => errors.get(plugin)
    })
  })
}
