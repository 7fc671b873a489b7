/**
 * The settings of a spec, each declared once: what it takes, its default, what it means. Types, `makeSpec`, the config
 * file, the promise face, the command line's flags, the README's table and the texts of problems come from here.
 *
 * The comment of a setting is what editors show; a test keeps it equal to its description and default.
 */
import { Duration, Effect, Schema } from "effect"
import { IsolationLevel } from "../Capabilities.ts"
import type { ConfigProblem } from "../ConfigError.ts"
import { Grants } from "../Grants.ts"
import { anyTime, integrity, isObject, jsonObject, positive, positiveTime } from "./values.ts"

/** A value that is `initial` if nothing is said. */
const setting = <S extends Schema.Top & Schema.WithoutConstructorDefault>(
  schema: S,
  initial: S["~type.make.in"],
  description: string
): Schema.withConstructorDefault<S> =>
  Schema.withConstructorDefault<S>(Effect.succeed(initial))(schema).annotateKey({ description })

/** A value that may be absent. */
const optional = <S extends Schema.Top>(schema: S, description: string): Schema.optionalKey<S> =>
  Schema.optionalKey(schema).annotateKey({ description })

const atMost = (max: number, why: string) =>
  positive.check(Schema.makeFilter((value) => value <= max || `expected at most ${max}: ${why}`))

/** The most a spec may allow an isolate, in MiB. */
export const maxMemory = 512

/** The deepest output a spec may allow: a schema that calls itself would run out of stack at about 2,000. */
export const maxOutputDepth = 500

export const limits = {
  /** MiB on and off the heap, at most 512; over it: `WORKER_CRASH`. Default 128. */
  memory: setting(
    atMost(maxMemory, "nearer to the engine's own limit the host could not stop it in time"),
    128,
    `MiB on and off the heap, at most ${maxMemory}; over it: \`WORKER_CRASH\``
  ),
  /** Items of an array; over it: `INVALID_OUTPUT`. Default 1,000. */
  outputItems: setting(positive, 1_000, "Items of an array; over it: `INVALID_OUTPUT`"),
  /** UTF-16 units of the output's JSON; over it: `INVALID_OUTPUT`. Default 1,048,576. */
  outputLength: setting(
    positive,
    1024 * 1024,
    "UTF-16 units of the output's JSON; over it: `INVALID_OUTPUT`"
  ),
  /** Nesting, at most 500; over it: `INVALID_OUTPUT`. Default 64. */
  outputDepth: setting(
    atMost(maxOutputDepth, "deeper values cannot be decoded safely"),
    64,
    `Nesting, at most ${maxOutputDepth}; over it: \`INVALID_OUTPUT\``
  ),
  /** JSON values, inner ones included; over it: `INVALID_OUTPUT`. Default 20,000. */
  outputValues: setting(positive, 20_000, "JSON values, inner ones included; over it: `INVALID_OUTPUT`"),
  /** Log lines kept of one run; the rest is counted and dropped. Default 200. */
  logLines: setting(positive, 200, "Log lines kept of one run; the rest is counted and dropped"),
  /** Log characters kept of one run; the rest is counted and dropped. Default 65,536. */
  logLength: setting(positive, 64 * 1024, "Log characters kept of one run; the rest is counted and dropped"),
  /** Log lines and network messages a second; over it: `WORKER_CRASH`. Default 100,000. */
  messageRate: setting(positive, 100_000, "Log lines and network messages a second; over it: `WORKER_CRASH`"),
  /** Bytes of a response, decompressed; over it the `fetch` fails. Default 5,242,880. */
  fetchBytes: setting(
    positive,
    5 * 1024 * 1024,
    "Bytes of a response, decompressed; over it the `fetch` fails"
  ),
  /** Requests of a plugin at once; 64 more wait. Default 4. */
  fetchConcurrency: setting(positive, 4, "Requests of a plugin at once; 64 more wait"),
  /** Runs of a plugin that may wait before `tryRun` refuses another. Default 1,000. */
  queue: setting(positive, 1_000, "Runs of a plugin that may wait before `tryRun` refuses another")
}

export const optionalLimits = {
  /** Milliseconds of processor time a run; over it: `WORKER_CRASH`. Default: what the timeout allows. */
  cpu: optional(
    positive,
    "Milliseconds of processor time a run; over it: `WORKER_CRASH`. Default: what the timeout allows"
  )
}

/** What a run may take and give. Every limit is enforced, with the error that its description names. */
export const Limits = Schema.Struct({ ...limits, ...optionalLimits })

/** The default policy of a breaker. */
export const defaultPolicy = { failureThreshold: 3, cooldown: Duration.seconds(60) }

export const breaker = {
  /** Failures in a row that open the circuit. Default: the hub's, 3. */
  failureThreshold: optional(
    positive,
    `Failures in a row that open the circuit. Default: the hub's, ${defaultPolicy.failureThreshold}`
  ),
  /** How long it stays open before one probe may run. Default: the hub's, 60 seconds. */
  cooldown: optional(
    positiveTime,
    `How long it stays open before one probe may run. Default: the hub's, ${Duration.toSeconds(defaultPolicy.cooldown)} seconds`
  )
}

/** What differs from the breaker policy of the hub. */
export const Breaker = Schema.Struct(breaker)

export const settings = {
  /** Wall clock, for loading and for each run. Default 5 seconds. */
  timeout: setting(positiveTime, Duration.seconds(5), "Wall clock, for loading and for each run"),
  /** Time between the abort signal and the kill; at 0 there is no signal. Default 0. */
  grace: setting(
    anyTime,
    Duration.zero,
    "Time between the abort signal and the kill; at 0 there is no signal"
  ),
  /** Handed to the plugin with each input. Default none. */
  config: setting(jsonObject, {}, "Handed to the plugin with each input"),
  /** Where it runs: `"thread"`, `"process"` or `"wasm"`. Default `"thread"`. */
  isolation: setting(IsolationLevel, "thread", 'Where it runs: `"thread"`, `"process"` or `"wasm"`'),
  /** Isolates stay warm, each for one plugin; `"never"`: a fresh one for each run. Default `"plugin"`. */
  reuse: setting(
    Schema.Literals(["plugin", "never"]),
    "plugin",
    'Isolates stay warm, each for one plugin; `"never"`: a fresh one for each run'
  ),
  /** Runs side by side, each in an isolate of its own; the rest queue, first come, first served. Default 1. */
  concurrency: setting(
    positive,
    1,
    "Runs side by side, each in an isolate of its own; the rest queue, first come, first served"
  ),
  /** What it may reach. `read`, `write`: paths; `net`: hosts; `env`: names of variables. Default none. */
  grants: setting(
    Grants,
    {},
    "What it may reach. `read`, `write`: paths; `net`: hosts; `env`: names of variables"
  ),
  /** `"audit"`: uses without a grant are allowed and reported. Default `"enforce"`. */
  enforcement: setting(
    Schema.Literals(["enforce", "audit"]),
    "enforce",
    '`"audit"`: uses without a grant are allowed and reported'
  ),
  /** For processes: `"bubblewrap"` requires it, `"auto"` uses it if it works. Default `"none"`. */
  sandbox: setting(
    Schema.Literals(["bubblewrap", "none", "auto"]),
    "none",
    'For processes: `"bubblewrap"` requires it, `"auto"` uses it if it works'
  ),
  /** Its output depends only on the content, its config and its modules, so it may be cached. Default `false`. */
  cache: setting(
    Schema.Boolean,
    false,
    "Its output depends only on the content, its config and its modules, so it may be cached"
  )
}

export const optionalSettings = {
  /** `sha256-…` of the plugin's modules; any others are a `LOAD_ERROR`. Default: modules are not checked. */
  integrity: optional(
    integrity,
    "`sha256-…` of the plugin's modules; any others are a `LOAD_ERROR`. Default: modules are not checked"
  )
}

/** The settings of a spec as a schema: what config files write decodes to what a spec holds. */
export const Settings = Schema.Struct({
  ...settings,
  ...optionalSettings,
  limits: Schema.withConstructorDefault<typeof Limits>(Effect.sync(() => Limits.make({})))(Limits),
  breaker: Schema.withConstructorDefault<typeof Breaker>(Effect.succeed({}))(Breaker)
})

/** Rules between settings. They look at raw values, so that a mistake elsewhere does not hide theirs. */
export const contradictions = (spec: { readonly [key: string]: unknown }): ReadonlyArray<ConfigProblem> => {
  if (spec["cache"] !== true) return []
  const grants = isObject(spec["grants"]) ? spec["grants"] : {}
  const granted = Object.entries(grants).filter(([, given]) => Array.isArray(given) && given.length > 0)
  return [
    ...(granted.length === 0
      ? []
      : [
          {
            path: "cache",
            problem: `true contradicts grants.${granted.map(([kind]) => kind).join(", grants.")}: what it reaches can change while its input stays the same; remove one of them`
          }
        ]),
    ...(spec["enforcement"] === "audit"
      ? [
          {
            path: "cache",
            problem:
              'true contradicts enforcement "audit": a cached output is not audited; remove one of them'
          }
        ]
      : [])
  ]
}
