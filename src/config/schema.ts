/** The schema of a config file. It decodes strictly, and resolves texts that name files. */
import { Effect, Schema, SchemaGetter, SchemaIssue, Struct } from "effect"
import * as path from "node:path"
import type { ConfigProblem } from "../ConfigError.ts"
import { Grants } from "../Grants.ts"
import { hubFolder, isHubPrivate, realOf } from "../paths.ts"
import { type PrepareError, unprepared } from "../PrepareError.ts"
import { contradictions, Limits, limits, Settings } from "../spec/settings.ts"
import { isObject, positive, positiveTime, text } from "../spec/values.ts"
import { pathText, shown } from "../text.ts"
import { resolveModule, type ShippedPackages } from "./modulePath.ts"

const json = Schema.Json.annotate({ expected: "a JSON value" })

/** A text that `resolve` turns into something else. Its error says what is wrong with the text, as a predicate. */
const resolved = <A>(resolve: (given: string) => Effect.Effect<A, PrepareError>) =>
  text.pipe(
    Schema.decodeTo(
      // Whatever `resolve` succeeds with is right.
      Schema.declare((_value): _value is A => true),
      {
        decode: SchemaGetter.transformEffect((given: string) =>
          Effect.mapError(
            resolve(given),
            ({ message }) => new SchemaIssue.InvalidValue({ message: `${shown(given)} ${message}` })
          )
        ),
        encode: SchemaGetter.forbiddenEncoding
      }
    )
  )

const retention = Schema.Struct({
  olderThan: Schema.optionalKey(positiveTime),
  keepEvents: Schema.optionalKey(
    Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).annotate({ expected: "a whole number, 0 or more" })
  )
}).check(
  Schema.makeFilter(
    ({ olderThan, keepEvents }) =>
      olderThan !== undefined || keepEvents !== undefined || "needs olderThan, keepEvents, or both"
  )
)

const rateLimits = Schema.Struct({
  perClient: Schema.optionalKey(positive),
  total: Schema.optionalKey(positive)
})

/** The schema of a config file; `root` is the workspace's real path. */
export const configSchema = (root: string, shipped?: ShippedPackages) => {
  const granted = resolved((given) => {
    const file = path.resolve(root, given)
    return isHubPrivate(realOf(file))
      ? Effect.fail(unprepared(`lies in ${hubFolder}/, which no plugin may use`, "grant another folder"))
      : Effect.succeed(file)
  })
  const entry = Schema.Struct({
    name: text,
    modulePath: resolved((given) => resolveModule(root, given, shipped)),
    ...Struct.map(Settings.fields, Schema.optionalKey),
    config: Schema.optionalKey(Schema.Record(Schema.String, json)),
    limits: Schema.optionalKey(Schema.Struct(Struct.map(Limits.fields, Schema.optionalKey))),
    memory: Schema.optionalKey(limits.memory),
    grants: Schema.optionalKey(
      Schema.Struct({
        ...Grants.fields,
        read: Schema.optionalKey(Schema.Array(granted)),
        write: Schema.optionalKey(Schema.Array(granted))
      })
    ),
    enabled: Schema.optionalKey(Schema.Boolean)
  })
  return Schema.Struct({
    linkifiers: Schema.optionalKey(Schema.Array(entry)),
    extractors: Schema.optionalKey(Schema.Array(entry)),
    readAuth: Schema.optionalKey(Schema.Boolean),
    rateLimits: Schema.optionalKey(rateLimits),
    maxSockets: Schema.optionalKey(positive),
    retention: Schema.optionalKey(retention)
  })
}

/** One plugin, decoded. */
export type Entry = NonNullable<ReturnType<typeof configSchema>["Type"]["linkifiers"]>[number]

/** Rules between fields. They check the raw value, so that a mistake elsewhere does not hide theirs. */
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
      problems.push(...contradictions(entry).map(({ path, problem }) => ({ path: at(path), problem })))
    }
  }
  return problems
}
