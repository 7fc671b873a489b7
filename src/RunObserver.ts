/** What a caller can observe of one run besides its result. */
import { Context } from "effect"

/** How an isolate treated a run. */
export interface ObservedRun {
  /** The version of the module that made the result, also if it was cached; `undefined` if it failed before an isolate began it. */
  readonly version: string | undefined
  /** Milliseconds from the call of `run` until an isolate began it; `undefined` if none did. */
  readonly queued: number | undefined
  /** Milliseconds from when an isolate began it; `undefined` if none did. */
  readonly ran: number | undefined
}

/** Both functions are called synchronously and must not throw. */
export interface RunObserver {
  /**
   * A line that the plugin logged while it loaded or ran, or that the runtime says about it. It is one line, safe for
   * terminals, and comes at every level, even below the minimum level of the log.
   */
  readonly log: (level: "Debug" | "Info" | "Warn" | "Error", text: string) => void
  /** The run has ended. A result from the cache has the version that made it, and no times. */
  readonly ended: (run: ObservedRun) => void
}

/**
 * Observes the runs of an effect. Default: `undefined`, which costs a run nothing.
 *
 * **When to use**: to show the log and the times of single runs. `PluginStats` has the totals of a plugin.
 *
 * @example
 * ```ts
 * const lines: Array<string> = []
 * yield* runtime.run(spec, input).pipe(
 *   Effect.provideService(CurrentRunObserver, {
 *     log: (level, text) => void lines.push(`${level} ${text}`),
 *     ended: ({ ran }) => void lines.push(`ran ${ran} ms`)
 *   })
 * )
 * ```
 */
export const CurrentRunObserver: Context.Reference<RunObserver | undefined> = Context.Reference(
  "@agentlip/plugin-runtime/CurrentRunObserver",
  { defaultValue: (): RunObserver | undefined => undefined }
)
