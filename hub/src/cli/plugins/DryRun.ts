/** The library's runtime for one plugin and a few runs, without a hub, and what the plugin logs in it. */
import {
  CircuitBreaker,
  type ConfiguredSpec,
  extractor,
  kindOf,
  linkifier,
  type PluginError,
  PluginRuntime,
  WorkerLayer
} from "@agentlip/plugin-runtime"
import { Effect, Layer, Logger, References } from "effect"

export interface LogLine {
  readonly level: string
  readonly text: string
}

/** What is logged while `effect` runs goes to `take`, of all levels, and nowhere else. */
export const withLog =
  (take: (line: LogLine) => void) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    effect.pipe(
      Effect.provideService(References.MinimumLogLevel, "All"),
      Effect.provide(
        Logger.layer([
          Logger.make(({ logLevel, message }) => {
            const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
            take({ level: logLevel.toLowerCase(), text })
          })
        ])
      )
    )

/** Nothing is kept ready: there is one plugin. Relative grants are taken from `base`. */
export const runtimeLayer = (base: string, inspectable = false) =>
  PluginRuntime.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        CircuitBreaker.layer(),
        WorkerLayer.layer({ spares: 0, prepare: [], grantsBase: base, inspectable })
      )
    )
  )

/** The spec with the kind that its module is of. What it logs meanwhile it will log again. */
export const withItsKind = (
  spec: ConfiguredSpec
): Effect.Effect<ConfiguredSpec, PluginError, PluginRuntime> =>
  kindOf(spec, [linkifier, extractor]).pipe(
    withLog(() => {}),
    Effect.map((kind) =>
      kind.name === extractor.name ? { ...spec, kind: extractor } : { ...spec, kind: linkifier }
    )
  )
