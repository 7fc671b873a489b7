/** What `WorkerLayer` offers: plugins prepared for this host, and one way to submit a run to each. */
import { Effect, type Fiber } from "effect"
import type { IsolationLevel } from "../Capabilities.ts"
import type { Grants } from "../Grants.ts"
import type { PluginError } from "../Errors.ts"
import type { PluginInfo } from "../wire/messages.ts"
import type { RunInput } from "../wire/runInput.ts"
import type { IsolateCounts } from "../Metrics.ts"
import type { PluginSpec } from "../Plugin.ts"

export type { LongText, RunInput } from "../wire/runInput.ts"

/** How many isolates of a level there are, by what they are doing. */
export type PoolStats = IsolateCounts

/** How many isolates there are. */
export interface WorkerStats {
  /** All of them, spares and zombies included. */
  readonly isolates: number
  readonly zombies: number
  /** By level, and by what they are doing; empty for fakes. */
  readonly levels: ReadonlyMap<IsolationLevel, PoolStats>
}

/** One run of a plugin, as its caller submits it. */
export interface Submission {
  /** The spec that the run belongs to: its `timeout` and `grace` count. */
  readonly spec: PluginSpec
  readonly input: RunInput
  /** The caller's fiber: log lines go to its loggers, and its clock measures the deadline. */
  readonly fiber: Fiber.Fiber<unknown, unknown>
  /** Annotations of log lines. */
  readonly labels: { readonly plugin: string; readonly run: string }
  /** W3C trace context of the run (55 characters), if it is traced. */
  readonly traceparent: string | undefined
  /** When an isolate began the run, as `performance.now()` counts; set by the pool, and again if the run starts over. */
  begun: number | undefined
  /** The version that the plugin's module states; set with `begun`. */
  version: string | undefined
  /**
   * Asked before a run that has waited is given to an isolate: `undefined` if it may still run, or an effect that
   * finds out. If that effect fails, the run is answered with its error.
   */
  readonly readmit: () => Effect.Effect<void, PluginError> | undefined
  /** Called once, with the output's JSON (not yet validated) or why there is none. */
  readonly answer: (answer: Effect.Effect<string, PluginError>) => void
  /** Called at most once, just before the answer: the run left something behind, so its warm isolate is ended. */
  readonly leftover: () => void
  /** Called at most once, after a run has answered with an output: its isolate crashed before the next run began. */
  readonly crashed: () => void
}

/** A plugin that is ready to take runs. Specs that differ only in timeouts and breakers share one. */
export interface PreparedPlugin {
  /**
   * Submits a run. It waits in the plugin's queue until an isolate takes it; if that isolate ends before it begins the
   * run, the run goes back to its place in the queue.
   *
   * The returned effect cancels the run. If an isolate is busy with it, the isolate is ended, and the effect returns
   * when that is gone or cannot be waited for any longer. A cancelled run is not answered.
   */
  readonly submit: (run: Submission) => Effect.Effect<void>
  /** Loads the plugin, unless an isolate has it loaded, and returns what it calls itself. */
  readonly load: Effect.Effect<PluginInfo, PluginError>
  /** How many runs wait, in addition to those that the isolates may hold. */
  readonly waiting: () => number
  /** Whether an earlier version of the plugin can go on if its changed files do not load. */
  readonly hasEarlier: () => boolean
}

/** Where plugin code runs. */
export interface Workers {
  /** Prepares a spec's plugin. Cheap, and never fails: its runs fail with what is wrong. */
  readonly prepare: (spec: PluginSpec) => PreparedPlugin
  readonly stats: Effect.Effect<WorkerStats>
  /** How many isolates of a plugin were killed and are still there. */
  readonly zombies: (plugin: string) => number
  /** By plugin that still runs an earlier version, because its changed files do not load: why they do not. */
  readonly outdated: Effect.Effect<ReadonlyMap<string, PluginError>>
  /** By plugin in audit mode: the grants it would need for what it has used. */
  readonly audits: Effect.Effect<ReadonlyMap<string, Grants>>
}

/** A plugin that cannot run here: its runs fail with `problem`. */
export const unavailable = (problem: PluginError): PreparedPlugin => ({
  submit: (run) => {
    run.answer(Effect.fail(problem))
    return Effect.void
  },
  load: Effect.fail(problem),
  waiting: () => 0,
  hasEarlier: () => false
})
