/** What a config file may say, decoded strictly; texts that name files come out as absolute paths. */
import { Duration, Effect, Option, Schema, SchemaGetter, SchemaIssue } from "effect"
import * as path from "node:path"
import { Grants, IsolationLevel } from "../Capabilities.ts"
import type { ConfigProblem } from "../Errors.ts"
import { hubFolder, isHubPrivate, realOf } from "../paths.ts"
import { resolveModule } from "./modulePath.ts"
import { pathText, shown } from "../text.ts"

/** A time in a config file: milliseconds, or a text such as `"2 seconds"`. */
export type ConfigTime = number | `${number} ${Duration.Unit}`

const parseTime = (value: unknown): Option.Option<Duration.Duration> =>
  typeof value === "number" || typeof value === "string"
    ? // A text that is no duration is answered with none.
      Option.filter(Duration.fromInput(value as Duration.Input), Duration.isFinite)
    : Option.none()

const time = (allows: (duration: Duration.Duration) => boolean, expected: string) =>
  Schema.declare((value): value is ConfigTime => Option.exists(parseTime(value), allows), {
    expected: `${expected}: milliseconds or a text such as "2 seconds"`
  })
const positiveTime = time(Duration.isPositive, "a time longer than 0")
const anyTime = time((duration) => !Duration.isNegative(duration), "a time of 0 or more")

const positive = Schema.declare(
  (value): value is number => typeof value === "number" && Number.isSafeInteger(value) && value > 0,
  { expected: "an integer of at least 1" }
)

const text = Schema.declare(
  (value): value is string => typeof value === "string" && value.trim().length > 0,
  { expected: "a text that is not blank" }
)

const json = Schema.Json.annotate({ expected: "a JSON value" })

const limits = Schema.Struct({
  memory: Schema.optionalKey(positive),
  outputItems: Schema.optionalKey(positive),
  outputLength: Schema.optionalKey(positive),
  outputDepth: Schema.optionalKey(positive),
  outputValues: Schema.optionalKey(positive),
  logLines: Schema.optionalKey(positive),
  logLength: Schema.optionalKey(positive),
  messageRate: Schema.optionalKey(positive),
  fetchBytes: Schema.optionalKey(positive),
  fetchConcurrency: Schema.optionalKey(positive),
  cpu: Schema.optionalKey(positive)
})

const integrity = Schema.declare(
  (value): value is string => typeof value === "string" && /^sha256-[A-Za-z0-9+/]{43}=$/.test(value),
  { expected: '"sha256-" and 44 characters of base64, as `agentlip plugin integrity FILE` prints it' }
)

/** A text that `resolve` turns into a path, or says what is wrong with as a predicate. */
const resolved = (resolve: (given: string) => Effect.Effect<string, string>) =>
  text.pipe(
    Schema.decodeTo(Schema.String, {
      decode: SchemaGetter.transformEffect((given: string) =>
        Effect.mapError(
          resolve(given),
          (problem) => new SchemaIssue.InvalidValue({ message: `${shown(given)} ${problem}` })
        )
      ),
      encode: SchemaGetter.passthrough()
    })
  )

/** The schema of a config file; `root` is the workspace's real path. */
export const configSchema = (root: string) => {
  const granted = resolved((given) => {
    const file = path.resolve(root, given)
    return isHubPrivate(realOf(file))
      ? Effect.fail(`lies in ${hubFolder}/, which no plugin may reach; grant another folder`)
      : Effect.succeed(file)
  })
  const entry = Schema.Struct({
    name: text,
    modulePath: resolved((given) => resolveModule(root, given)),
    timeout: Schema.optionalKey(positiveTime),
    grace: Schema.optionalKey(anyTime),
    config: Schema.optionalKey(Schema.Record(Schema.String, json)),
    isolation: Schema.optionalKey(IsolationLevel),
    reuse: Schema.optionalKey(Schema.Literals(["plugin", "never"])),
    concurrency: Schema.optionalKey(positive),
    memory: Schema.optionalKey(positive),
    limits: Schema.optionalKey(limits),
    grants: Schema.optionalKey(
      Schema.Struct({
        ...Grants.fields,
        read: Schema.optionalKey(Schema.Array(granted)),
        write: Schema.optionalKey(Schema.Array(granted))
      })
    ),
    enforcement: Schema.optionalKey(Schema.Literals(["enforce", "audit"])),
    sandbox: Schema.optionalKey(Schema.Literals(["bubblewrap", "none", "auto"])),
    integrity: Schema.optionalKey(integrity),
    cache: Schema.optionalKey(Schema.Boolean),
    breaker: Schema.optionalKey(
      Schema.Struct({
        failureThreshold: Schema.optionalKey(positive),
        cooldown: Schema.optionalKey(positiveTime)
      })
    ),
    enabled: Schema.optionalKey(Schema.Boolean)
  })
  return Schema.Struct({
    linkifiers: Schema.optionalKey(Schema.Array(entry)),
    extractors: Schema.optionalKey(Schema.Array(entry))
  })
}

/** One plugin, decoded. */
export type Entry = NonNullable<ReturnType<typeof configSchema>["Type"]["linkifiers"]>[number]

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Rules between fields. They look at the raw value, so that a mistake elsewhere does not hide theirs. */
export const crossProblems = (config: unknown): Array<ConfigProblem> => {
  const problems: Array<ConfigProblem> = []
  const firstUse = new Map<string, string>()
  for (const list of ["linkifiers", "extractors"]) {
    const entries = isObject(config) ? config[list] : undefined
    for (const [index, entry] of Array.isArray(entries) ? entries.entries() : []) {
      if (!isObject(entry)) continue
      const at = (key: string): string => pathText([list, index, key])
      if (typeof entry["name"] === "string") {
        const first = firstUse.get(entry["name"])
        if (first === undefined) firstUse.set(entry["name"], at("name"))
        else
          problems.push({
            path: at("name"),
            problem: `${shown(entry["name"])} is already used by ${first}; rename one`
          })
      }
      if ("memory" in entry && isObject(entry["limits"]) && "memory" in entry["limits"])
        problems.push({ path: at("memory"), problem: "is given as limits.memory too; keep one of them" })
    }
  }
  return problems
}
