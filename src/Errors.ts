/**
 * The errors of a plugin run.
 *
 * The `_tag` of each error is its public code, so handlers read like the table in the README:
 * `Effect.catchTags({ TIMEOUT: …, CIRCUIT_OPEN: … })`. Messages are made from the fields. `PluginErrorJson` encodes and
 * decodes any of them without loss.
 */
import { Duration, Schema } from "effect"
import { Grants } from "./Grants.ts"

const plugin = Schema.String
const seconds = (duration: Duration.Duration): string => {
  const millis = Duration.toMillis(duration)
  return millis < 1000 ? `${Math.ceil(millis)} ms` : `${Math.round(millis / 100) / 10} s`
}

/**
 * `tryRun` refused the run because `limits.queue` runs of the plugin were waiting. Nothing was executed. Does not count
 * for the breaker.
 */
export class QueueFull extends Schema.TaggedError<QueueFull>("@agentlip/plugin-runtime/QueueFull")(
  "QUEUE_FULL",
  {
    plugin,
    waiting: Schema.Int
  }
) {
  override get message(): string {
    return `${this.waiting} runs of plugin "${this.plugin}" are waiting already. Try again later, raise its "concurrency" to run more at once, or raise limits.queue to let more wait.`
  }
}

/**
 * The plugin ran longer than its spec's `timeout`, counted from when its isolate began the work (waiting in a queue does
 * not count). The isolate is gone. Counts for the breaker.
 *
 * `phase` says what was too slow: loading the module (`"load"`) or the call itself (`"run"`). `waitingFor` says what the
 * load waited for while its isolate was idle. It is absent if the isolate was busy, or does not know. `hostPaused` is how
 * long the host was paused meanwhile (stopped by a signal, for example). The pause is not part of the timeout, and such a
 * `TIMEOUT` does not count for the breaker.
 */
export class PluginTimeout extends Schema.TaggedError<PluginTimeout>(
  "@agentlip/plugin-runtime/PluginTimeout"
)("TIMEOUT", {
  plugin,
  timeout: Schema.DurationFromMillis,
  phase: Schema.Literals(["load", "run"]),
  waitingFor: Schema.optionalKey(Schema.Literals(["top-level await", "configSchema"])),
  hostPaused: Schema.optionalKey(Schema.DurationFromMillis)
}) {
  override get message(): string {
    const what = this.phase === "load" ? "was still loading" : "did not answer"
    const why =
      this.waitingFor === undefined
        ? ""
        : this.waitingFor === "configSchema"
          ? " Its configSchema had not returned: a promise in it never settled."
          : ' It was waiting at a top-level "await" that had not settled: move that work into the method.'
    const paused =
      this.hostPaused === undefined
        ? ""
        : ` The host was paused for ${seconds(this.hostPaused)} meanwhile, which is not part of that time. The timeout does not count for the circuit.`
    return `Plugin "${this.plugin}" ${what} after ${seconds(this.timeout)} and was terminated.${why}${paused} If the work is legitimate, raise its "timeout".`
  }
}

/**
 * The isolate died or broke the protocol outside the plugin's own answer: unhandled exception or
 * rejection, `process.exit`, out of memory, a forged message. The isolate is gone. Counts for the breaker.
 */
export class WorkerCrash extends Schema.TaggedError<WorkerCrash>("@agentlip/plugin-runtime/WorkerCrash")(
  "WORKER_CRASH",
  {
    plugin,
    reason: Schema.String,
    exitCode: Schema.optionalKey(Schema.Int)
  }
) {
  override get message(): string {
    const code = this.exitCode === undefined ? "" : ` (exit code ${this.exitCode})`
    return `Plugin "${this.plugin}" took its isolate down: ${this.reason}${code}.`
  }
}

/**
 * The plugin returned a value that is not an output of its kind, is over a limit, or cannot be written as JSON. `issue`
 * names the path, what was expected and what was found. Counts for the breaker.
 */
export class InvalidOutput extends Schema.TaggedError<InvalidOutput>(
  "@agentlip/plugin-runtime/InvalidOutput"
)("INVALID_OUTPUT", {
  plugin,
  issue: Schema.String
}) {
  override get message(): string {
    return `Plugin "${this.plugin}" returned an invalid output: ${this.issue}`
  }
}

/** The breaker refused the run; nothing was executed. Try again after `retryAfter`. Never counts for the breaker. */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>("@agentlip/plugin-runtime/CircuitOpen")(
  "CIRCUIT_OPEN",
  {
    plugin,
    failures: Schema.Int,
    retryAfter: Schema.DurationFromMillis
  }
) {
  override get message(): string {
    const { failures } = this
    const why = failures === 0 ? "" : ` after ${failures} ${failures === 1 ? "failure" : "failures in a row"}`
    return `Plugin "${this.plugin}" is paused${why}; next try in ${seconds(this.retryAfter)}.`
  }
}

/** What a plugin threw, described without running any of its code. */
export const ThrownValue = Schema.Struct({
  name: Schema.String,
  message: Schema.String,
  stack: Schema.optionalKey(Schema.String)
})
export type ThrownValue = typeof ThrownValue.Type

/**
 * A place in a module's source as its author wrote it. `line` and `column` count from 1; `frame` shows the lines around
 * it with the place marked, and is empty if the source could not be read.
 */
export const CodePlace = Schema.Struct({
  file: Schema.String,
  line: Schema.Int,
  column: Schema.Int,
  frame: Schema.String
})
export type CodePlace = typeof CodePlace.Type

/**
 * The plugin could not be loaded: module missing or unparsable, threw while loading, no default export with
 * the kind's method, config refused by its `configSchema`, or it declares capabilities that are not granted. Counts for
 * the breaker.
 *
 * - `cause`: what it threw while it was loaded.
 * - `missingMethod`: the kind's method, if the module lacks it. It may be a plugin of another kind.
 * - `missingGrants`: the declared capabilities that are not granted.
 * - `importer`: the file that imports a module that cannot be loaded.
 * - `place`: the import, the syntax error, or the line that threw.
 */
export class LoadError extends Schema.TaggedError<LoadError>("@agentlip/plugin-runtime/LoadError")(
  "LOAD_ERROR",
  {
    plugin,
    modulePath: Schema.String,
    reason: Schema.String,
    cause: Schema.optionalKey(ThrownValue),
    missingMethod: Schema.optionalKey(Schema.String),
    missingGrants: Schema.optionalKey(Grants),
    importer: Schema.optionalKey(Schema.String),
    place: Schema.optionalKey(CodePlace)
  }
) {
  override get message(): string {
    const { importer, place } = this
    const where = place === undefined ? "" : ` (at ${place.file}:${place.line}:${place.column})`
    const by = importer === undefined || importer === place?.file ? "" : ` (imported by ${importer})`
    return `Plugin "${this.plugin}" could not be loaded from ${this.modulePath}: ${this.reason}${by}${where}`
  }
}

/**
 * The plugin's method threw or rejected; `cause` has its name, message and own stack. Counts for the breaker.
 *
 * `missingGrants` has the grant without which a call failed, if the plugin threw that call's error, or an error with it
 * as `cause`. It is a hint: check what it grants before you follow it.
 *
 * With `inputRefused` nothing ran: the input is invalid for the plugin's kind, and `cause` says why. That is the caller's
 * mistake and does not count.
 */
export class ExecutionError extends Schema.TaggedError<ExecutionError>(
  "@agentlip/plugin-runtime/ExecutionError"
)("EXECUTION_ERROR", {
  plugin,
  cause: ThrownValue,
  missingGrants: Schema.optionalKey(Grants),
  inputRefused: Schema.optionalKey(Schema.Literal(true))
}) {
  override get message(): string {
    if (this.inputRefused) return `Plugin "${this.plugin}" was not run: ${this.cause.message}`
    return `Plugin "${this.plugin}" threw ${this.cause.name}: ${this.cause.message}`
  }
}

/**
 * The union every run fails with.
 *
 * @example
 * ```ts
 * runtime.run(spec, input).pipe(Effect.catchTag("CIRCUIT_OPEN", () => Effect.succeed([])))
 * ```
 */
export const PluginError = Schema.Union([
  PluginTimeout,
  WorkerCrash,
  InvalidOutput,
  CircuitOpen,
  LoadError,
  ExecutionError
])
export type PluginError = typeof PluginError.Type

/** The public code of a plugin error. */
export type PluginErrorCode = PluginError["_tag"]

/** Encodes and decodes any `PluginError` as plain JSON, without loss. */
export const PluginErrorJson = Schema.toCodecJson(PluginError)

/**
 * The output was discarded, because its message was edited, deleted or is missing. Not an error of the plugin.
 */
export class StaleOutput extends Schema.TaggedError<StaleOutput>("@agentlip/plugin-runtime/StaleOutput")(
  "StaleOutput",
  {
    messageId: Schema.String,
    reason: Schema.Literals(["CONTENT_CHANGED", "DELETED", "MISSING"])
  }
) {
  override get message(): string {
    const why = {
      CONTENT_CHANGED: "its content has changed since",
      DELETED: "it was deleted since",
      MISSING: "it does not exist"
    }[this.reason]
    return `The output for message ${this.messageId} was discarded: ${why}.`
  }
}

/** No level of the Layer can run plugins on this host, and `trusted: true` is not set. */
export class UnsupportedRuntime extends Schema.TaggedError<UnsupportedRuntime>(
  "@agentlip/plugin-runtime/UnsupportedRuntime"
)("UnsupportedRuntime", {
  runtime: Schema.String,
  /** The levels of the Layer. */
  level: Schema.String,
  /** Why none of them can run here, and what to do. */
  reason: Schema.String
}) {
  override get message(): string {
    return `No plugin can run here (${this.runtime}): ${this.reason}.`
  }
}
