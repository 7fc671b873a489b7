/** A runtime for one plugin and a few runs without a hub, and a capture of its log. */
import {
  CircuitBreaker,
  type ConfiguredSpec,
  extractor,
  kindOf,
  linkifier,
  type PluginError,
  PluginRuntime,
  WorkerLayer,
  type WorkerOptions
} from "@agentlip/plugin-runtime"
import type { LogLine } from "@agentlip/protocol"
import { Effect, Layer, Logger, type LogLevel, References } from "effect"

const levelOf = (level: LogLevel.LogLevel): LogLine["level"] => {
  switch (level) {
    case "Fatal":
    case "Error":
      return "error"
    case "Warn":
      return "warn"
    case "Info":
      return "info"
    default:
      return "debug"
  }
}

/** Sends everything that is logged during `effect` to `take`, at all levels, and nowhere else. */
export const withLog =
  (take: (line: LogLine) => void) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    effect.pipe(
      Effect.provideService(References.MinimumLogLevel, "All"),
      Effect.provide(
        Logger.layer([
          Logger.make(({ logLevel, message }) => {
            const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
            take({ level: levelOf(logLevel), text })
          })
        ])
      )
    )

/** Keeps no spare isolates, because there is only one plugin. Relative grants start at `base`. */
export const runtimeLayer = (base: string, options: Pick<WorkerOptions, "inspectable" | "node"> = {}) =>
  PluginRuntime.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        CircuitBreaker.layer(),
        WorkerLayer.layer({ ...options, spares: 0, prepare: [], grantsBase: base })
      )
    )
  )

/**
 * Sets the kind that the plugin's module has. Drops its log, because the module logs the same when it is loaded again.
 */
export const withItsKind = (
  spec: ConfiguredSpec
): Effect.Effect<ConfiguredSpec, PluginError, PluginRuntime> =>
  kindOf(spec, [linkifier, extractor]).pipe(
    withLog(() => {}),
    Effect.map((kind) =>
      kind.name === extractor.name ? { ...spec, kind: extractor } : { ...spec, kind: linkifier }
    )
  )
