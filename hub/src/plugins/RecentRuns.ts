/**
 * Remembers the latest runs of each plugin for its author: what they logged, how long they took, why they failed.
 *
 * **Details**
 *
 * - In memory only, and bounded: see the constants. A plugin that runs often pushes its older runs out soon, so failed
 *   runs have places of their own.
 * - Refusals by an open circuit are not kept: they would push out the failures that opened it.
 * - The log and the error of a run may quote its message. Once the message is deleted, they are not shown.
 */
import {
  type ConfiguredSpec,
  type ObservedRun,
  type OutcomeLabel,
  type PastError,
  type PluginError,
  type RunObserver
} from "@agentlip/plugin-runtime"
import { shortened } from "@agentlip/plugin-runtime/text"
import type { LogLine, PluginProblem, PluginRun } from "@agentlip/protocol"
import { Clock, Context, Effect, Layer } from "effect"
import { rounded } from "./PluginDetails.ts"
import { problemOf } from "./PluginProblem.ts"
import { type Redactor, Secrets } from "./Secrets.ts"
import { Specs } from "./Specs.ts"

/** Runs of one plugin that are kept, and failed runs besides. */
const maxRuns = 50
const maxFailedRuns = 20

/** Errors of one plugin that are shown with it. */
const maxLastErrors = 10

/** Lines that are kept of a run, and UTF-16 units of each. */
const maxLines = 100
const maxLine = 2_000

/** UTF-16 units of log text that are kept of one plugin. Above it, the oldest runs lose their lines. */
const maxLogLength = 256 * 1024

const levels: { readonly [Level in Parameters<RunObserver["log"]>[0]]: LogLine["level"] } = {
  Debug: "debug",
  Info: "info",
  Warn: "warn",
  Error: "error"
}

/** An error without what may quote the message. */
const withoutTexts = (error: PluginProblem | undefined, why: string): PluginProblem | undefined =>
  error === undefined ? undefined : { code: error.code, message: why, stack: [] }

/** A run while it goes on, and afterwards. */
class Recording implements RunObserver {
  readonly at: number
  readonly messageId: string
  readonly #redactor: () => Redactor
  lines: Array<LogLine> = []
  linesLeftOut = 0
  logLength = 0
  observed: ObservedRun | undefined
  found: number | undefined
  error: PluginProblem | undefined
  failure: PastError | undefined
  outcome: string = "ok" satisfies OutcomeLabel

  constructor(at: number, messageId: string, redactor: () => Redactor) {
    this.at = at
    this.messageId = messageId
    this.#redactor = redactor
  }

  log(level: Parameters<RunObserver["log"]>[0], text: string): void {
    if (this.lines.length >= maxLines) {
      this.linesLeftOut++
      return
    }
    // Secrets go first: half a secret would not be found.
    const line = shortened(this.#redactor().text(text), maxLine)
    this.lines.push({ level: levels[level], text: line })
    this.logLength += line.length
  }

  ended(run: ObservedRun): void {
    this.observed = run
  }

  forgetLog(): void {
    this.linesLeftOut += this.lines.length
    this.lines = []
    this.logLength = 0
  }

  /** Forgets what may quote the message. */
  forgetTexts(): void {
    this.forgetLog()
    this.failure = undefined
    this.error = withoutTexts(this.error, "its message was deleted")
  }

  get run(): PluginRun {
    const { version, queued, ran } = this.observed ?? {}
    const millis = (value: number | undefined) => (value === undefined ? null : rounded(value))
    return {
      at: new Date(this.at).toISOString(),
      message_id: this.messageId,
      outcome: this.outcome,
      found: this.found ?? null,
      version: version === undefined ? null : this.#redactor().text(version),
      queue_ms: millis(queued),
      run_ms: millis(ran),
      logs: this.lines,
      logs_left_out: this.linesLeftOut,
      error: this.error ?? null
    }
  }

  /** The run as it is shown while it is not known whether its message is deleted. */
  get runWithoutTexts(): PluginRun {
    const { run, error } = this
    return {
      ...run,
      logs: [],
      logs_left_out: run.logs_left_out + run.logs.length,
      error:
        withoutTexts(error, "not shown: the database does not say whether its message is deleted") ?? null
    }
  }
}

/** The runs that are kept of one plugin, oldest first. */
class Runs {
  readonly #latest: Array<Recording> = []
  readonly #failed: Array<Recording> = []

  add(recording: Recording): void {
    this.#latest.push(recording)
    if (this.#latest.length > maxRuns) {
      const [oldest] = this.#latest.splice(0, 1)
      if (oldest?.error !== undefined) this.#failed.push(oldest)
      if (this.#failed.length > maxFailedRuns) this.#failed.shift()
    }
    if (recording.logLength > 0) this.#boundLog()
  }

  get all(): ReadonlyArray<Recording> {
    return [...this.#failed, ...this.#latest]
  }

  #boundLog(): void {
    const { all } = this
    let length = all.reduce((sum, { logLength }) => sum + logLength, 0)
    for (const oldest of all) {
      if (length <= maxLogLength) return
      length -= oldest.logLength
      oldest.forgetLog()
    }
  }
}

/** A run that is being recorded. */
export interface RunRecorder {
  readonly observer: RunObserver
  /** The version of the plugin's module that made the result, also if it was cached; `null` if it failed before an isolate began it. */
  readonly version: () => string | null
  readonly succeeded: (found: number) => void
  readonly failed: (error: PluginError, spec: ConfiguredSpec) => void
}

/** Returns those of the messages that are not deleted. */
type Undeleted<E> = (messageIds: ReadonlyArray<string>) => Effect.Effect<ReadonlySet<string>, E>

export class RecentRuns extends Context.Service<
  RecentRuns,
  {
    /** Records a run of a plugin. It is kept when it has succeeded or failed. */
    readonly record: (plugin: string, messageId: string) => RunRecorder
    /** The runs of a plugin, newest first. Forgets the log and the error of those whose message is deleted. */
    readonly of: <E>(plugin: string, undeleted: Undeleted<E>) => Effect.Effect<ReadonlyArray<PluginRun>, E>
    /** The runs of a plugin, newest first, all without their log and with the code of their error only. */
    readonly withoutTexts: (plugin: string) => ReadonlyArray<PluginRun>
    /** The last errors of a plugin, newest first, without those that `of` forgets. */
    readonly errorsOf: <E>(
      plugin: string,
      undeleted: Undeleted<E>
    ) => Effect.Effect<ReadonlyArray<PastError>, E>
  }
>()("@agentlip/hub/RecentRuns") {
  static readonly layer: Layer.Layer<RecentRuns, never, Secrets | Specs> = Layer.effect(
    RecentRuns,
    Effect.gen(function* () {
      const secrets = yield* Secrets
      const specs = yield* Specs
      const clock = yield* Clock.Clock
      const plugins = new Map<string, Runs>()
      const runsOf = (plugin: string): Runs => {
        const known = plugins.get(plugin) ?? new Runs()
        plugins.set(plugin, known)
        return known
      }
      specs.onChange(() => {
        const names = new Set(specs.current().map(({ name }) => name))
        for (const name of plugins.keys()) if (!names.has(name)) plugins.delete(name)
      })

      const record = (plugin: string, messageId: string): RunRecorder => {
        const recording = new Recording(clock.currentTimeMillisUnsafe(), messageId, () => secrets.of(plugin))
        return {
          observer: recording,
          version: () => recording.observed?.version ?? null,
          succeeded: (found) => {
            recording.found = found
            runsOf(plugin).add(recording)
          },
          failed: (error, spec) => {
            if (error._tag === "CIRCUIT_OPEN") return
            recording.error = problemOf(error, spec, secrets.of(plugin).text)
            recording.failure = { at: clock.currentTimeMillisUnsafe(), error }
            recording.outcome = error._tag.toLowerCase()
            runsOf(plugin).add(recording)
          }
        }
      }

      const newestFirst = (plugin: string): ReadonlyArray<Recording> =>
        (plugins.get(plugin)?.all ?? []).toReversed()

      /** The runs that have ended by now. A run that ends while `undeleted` looks is not among them, nor forgotten. */
      const shown = <E>(plugin: string, undeleted: Undeleted<E>) =>
        Effect.suspend(() => {
          const runs = newestFirst(plugin)
          if (runs.length === 0) return Effect.succeed(runs)
          const messageIds = new Set(runs.map(({ messageId }) => messageId))
          return Effect.map(undeleted([...messageIds]), (found) => {
            for (const recording of runs) if (!found.has(recording.messageId)) recording.forgetTexts()
            return runs
          })
        })

      return RecentRuns.of({
        record,
        of: (plugin, undeleted) => Effect.map(shown(plugin, undeleted), (runs) => runs.map(({ run }) => run)),
        withoutTexts: (plugin) => newestFirst(plugin).map(({ runWithoutTexts }) => runWithoutTexts),
        errorsOf: (plugin, undeleted) =>
          Effect.map(shown(plugin, undeleted), (runs) =>
            runs.flatMap(({ failure }) => (failure === undefined ? [] : [failure])).slice(0, maxLastErrors)
          )
      })
    })
  )
}
