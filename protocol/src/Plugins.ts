/** Configured plugins and how their runs went. Times are in milliseconds; all counts are since the hub started. */
import { Schema } from "effect"

/** Folders and files, hosts, and environment variables that are granted to a plugin. */
export const Grants = Schema.Struct({
  read: Schema.optionalKey(Schema.Array(Schema.String)),
  write: Schema.optionalKey(Schema.Array(Schema.String)),
  net: Schema.optionalKey(Schema.Array(Schema.String)),
  env: Schema.optionalKey(Schema.Array(Schema.String))
})
export type Grants = typeof Grants.Type

export const CircuitState = Schema.Literals(["closed", "open", "half_open"])
export type CircuitState = typeof CircuitState.Type

/** A place in a file. Lines and columns start at 1. */
export const SourcePlace = Schema.Struct({
  file: Schema.String,
  line: Schema.Int,
  column: Schema.Int
})
export type SourcePlace = typeof SourcePlace.Type

/** A call in a plugin's own stack. `what` is empty for the top of a module. */
export const StackFrame = Schema.Struct({ ...SourcePlace.fields, what: Schema.String })
export type StackFrame = typeof StackFrame.Type

/** A plugin's error for its author. */
export const PluginProblem = Schema.Struct({
  code: Schema.String,
  message: Schema.String,
  /** Where it was, with the lines of code around it, as they were then; empty if they cannot be read. */
  place: Schema.optionalKey(Schema.Struct({ ...SourcePlace.fields, frame: Schema.String })),
  /** The file that imports what is missing. */
  importer: Schema.optionalKey(Schema.String),
  /** Frames in the plugin's own files, without their callers. */
  stack: Schema.Array(StackFrame),
  /** What to do. */
  hint: Schema.optionalKey(Schema.String)
})
export type PluginProblem = typeof PluginProblem.Type

/** A configured plugin: its rights, its circuit, and in audit mode the grants it would need. */
export const PluginStatus = Schema.Struct({
  name: Schema.String,
  kind: Schema.String,
  isolation: Schema.Literals(["thread", "process", "wasm"]),
  /** Of isolation `process`; `null` on the others. */
  sandbox: Schema.NullOr(Schema.Literals(["bubblewrap", "none", "auto"])),
  enforcement: Schema.Literals(["enforce", "audit"]),
  grants: Grants,
  circuit: Schema.Struct({ state: CircuitState, failures: Schema.Int }),
  /** Why the plugin does not load as its files and its entry are now, while it goes on as it was; `null`: it does. */
  outdated: Schema.NullOr(
    Schema.Struct({
      code: Schema.String,
      message: Schema.String,
      /** For its author. Earlier hubs do not tell. */
      problem: Schema.optionalKey(PluginProblem)
    })
  ),
  /** `snippet` is for the config file; empty if nothing is needed. `null`: not in audit mode. */
  audit: Schema.NullOr(Schema.Struct({ needs: Grants, snippet: Schema.String }))
})
export type PluginStatus = typeof PluginStatus.Type

/** Quantiles are at most 1/16 above the real ones; zeros where nothing was measured. */
export const Times = Schema.Struct({
  count: Schema.Int,
  p50: Schema.Finite,
  p95: Schema.Finite,
  p99: Schema.Finite,
  max: Schema.Finite
})

export type Times = typeof Times.Type

/** A configured plugin and how its runs went. */
export const PluginSummary = Schema.Struct({
  ...PluginStatus.fields,
  /** By outcome: `ok`, `interrupted`, `defect`, or the code of the error in lower case. */
  runs: Schema.Record(Schema.String, Schema.Int),
  /** From when an isolate began a run. */
  run_ms: Times,
  /** What a run waited for an isolate to begin it. */
  queue_ms: Times
})
export type PluginSummary = typeof PluginSummary.Type

/** An error of a run; `error` is the plugin error in full, without what its config or its environment says. */
export const PluginFailure = Schema.Struct({
  at: Schema.String,
  code: Schema.String,
  message: Schema.String,
  error: Schema.Json
})
export type PluginFailure = typeof PluginFailure.Type

/** A line that a plugin logged, or that the runtime says about it. It is one line, safe for terminals. */
export const LogLine = Schema.Struct({
  level: Schema.Literals(["debug", "info", "warn", "error"]),
  text: Schema.String
})
export type LogLine = typeof LogLine.Type

/** A run for a message, as the hub remembers it. */
export const PluginRun = Schema.Struct({
  at: Schema.String,
  message_id: Schema.String,
  /** `ok`, `defect`, or the code of the error in lower case. */
  outcome: Schema.String,
  /** How much it found; `null` if it failed. */
  found: Schema.NullOr(Schema.Int),
  /** The version of the plugin's module that made the result, also if it was cached; `null` if it failed before an isolate began it. */
  version: Schema.NullOr(Schema.String),
  /** What it waited for an isolate; `null` if no isolate ran it. */
  queue_ms: Schema.NullOr(Schema.Finite),
  /** From when an isolate began it; `null` if no isolate ran it. */
  run_ms: Schema.NullOr(Schema.Finite),
  /** The first lines that it logged, at every level. */
  logs: Schema.Array(LogLine),
  /** Further lines, which are not shown: they were not kept, or the hub does not know whether the message is deleted. */
  logs_left_out: Schema.Int,
  error: Schema.NullOr(PluginProblem)
})
export type PluginRun = typeof PluginRun.Type

/** All there is to know of one plugin, but its config, which may hold secrets. */
export const PluginDetails = Schema.Struct({
  ...PluginSummary.fields,
  module_path: Schema.String,
  timeout_ms: Schema.Finite,
  reuse: Schema.Literals(["plugin", "never"]),
  concurrency: Schema.Int,
  /** By their names in the config file. */
  limits: Schema.Record(Schema.String, Schema.Finite),
  load_ms: Times,
  bytes_in: Schema.Finite,
  bytes_out: Schema.Finite,
  cache: Schema.Struct({ hits: Schema.Int, misses: Schema.Int }),
  /** 0 where the level cannot tell. */
  cpu_ms: Schema.Finite,
  /** The most that an isolate held; 0 where the level cannot tell. */
  peak_memory_bytes: Schema.Finite,
  /** Newest first, at most 10, without refusals by an open circuit. */
  last_errors: Schema.Array(PluginFailure)
})
export type PluginDetails = typeof PluginDetails.Type
