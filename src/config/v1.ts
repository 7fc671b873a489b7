/** Understands a config file of Agentlip v1: turns it into one of today's, and says how to write it. */
import { Result, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { ConfigProblem } from "../ConfigError.ts"
import { problemsOf } from "../spec/problems.ts"
import { maxMemory } from "../spec/settings.ts"
import { isObject, positive, text } from "../spec/values.ts"
import { pathText, shown } from "../text.ts"

const json = Schema.Json.annotate({ expected: "a JSON value" })

const entry = Schema.Struct({
  name: text,
  type: Schema.Literals(["linkifier", "extractor"]),
  module: Schema.optionalKey(text),
  enabled: Schema.optionalKey(Schema.Boolean),
  config: Schema.optionalKey(Schema.Record(Schema.String, json)),
  /** Milliseconds. */
  timeout: Schema.optionalKey(positive)
})

const schema = Schema.Struct({
  plugins: Schema.optionalKey(Schema.Array(entry)),
  pluginDefaults: Schema.optionalKey(
    Schema.Struct({
      /** Milliseconds. */
      timeout: Schema.optionalKey(positive),
      /** Bytes. */
      memoryLimit: Schema.optionalKey(positive)
    })
  ),
  rateLimits: Schema.optionalKey(
    Schema.Struct({ perConnection: Schema.optionalKey(positive), global: Schema.optionalKey(positive) })
  ),
  limits: Schema.optionalKey(
    Schema.Struct({
      maxMessageSize: Schema.optionalKey(positive),
      maxAttachmentSize: Schema.optionalKey(positive),
      maxWsMessageSize: Schema.optionalKey(positive),
      maxWsConnections: Schema.optionalKey(positive),
      maxWsQueueSize: Schema.optionalKey(positive),
      maxEventReplayBatch: Schema.optionalKey(positive)
    })
  )
})

type V1Config = typeof schema.Type
type V1Entry = typeof entry.Type

const keys = Object.keys(schema.fields)
const lists = { linkifier: "linkifiers", extractor: "extractors" } as const

/** Packages of the hub that replace v1's own plugins, by their names there. */
const builtIn: Readonly<Record<string, string>> = {
  "url-extractor": "@agentlip/plugins/url-extractor",
  "url-linkifier": "@agentlip/plugins/url-linkifier"
}

const mebibyte = 1024 * 1024

/** MiB. v1 knew no maximum. */
const memoryOf = (bytes: number): number => Math.min(maxMemory, Math.max(1, Math.floor(bytes / mebibyte)))

/** v1 resolved every module from the workspace. Today a path of the workspace starts with a dot. */
const modulePathOf = (root: string, { name, module }: V1Entry): string => {
  if (module === undefined) return builtIn[name] ?? ""
  const isBare = !module.startsWith(".") && !path.isAbsolute(module)
  return isBare && fs.existsSync(path.join(root, module)) ? `./${module}` : module
}

/** Without the values that are `undefined`. */
const defined = <A extends object>(values: A) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    readonly [Key in keyof A]?: Exclude<A[Key], undefined>
  }

const entryOf = (root: string, given: V1Entry, defaults: Required<V1Config>["pluginDefaults"]) => {
  const { memoryLimit } = defaults
  return {
    name: given.name,
    modulePath: modulePathOf(root, given),
    ...defined({
      enabled: given.enabled === false ? false : undefined,
      timeout: given.timeout ?? defaults.timeout,
      memory: memoryLimit === undefined ? undefined : memoryOf(memoryLimit),
      // v1's own plugins had options that today's do not have.
      config: given.module === undefined ? undefined : given.config
    })
  }
}

type TodaysEntry = ReturnType<typeof entryOf>

/** The text of an entry, without what its config holds: that may be a secret. */
const entryText = ({ config, ...entry }: TodaysEntry): string => {
  const parts = Object.entries(entry).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
  return `    { ${[...parts, ...(config === undefined ? [] : ["config: { /* as before */ }"])].join(", ")} }`
}

/** Today's form of the file, to paste. */
const fileText = ({ linkifiers, extractors, rateLimits, maxSockets }: TodaysConfig): string => {
  const fields = Object.entries({ linkifiers, extractors }).flatMap(([name, entries]) =>
    entries === undefined ? [] : [`  ${name}: [\n${entries.map(entryText).join(",\n")}\n  ]`]
  )
  if (rateLimits !== undefined) {
    const rates = Object.entries(rateLimits).map(([key, rate]) => `${key}: ${rate}`)
    fields.push(`  rateLimits: { ${rates.join(", ")} }`)
  }
  if (maxSockets !== undefined) fields.push(`  maxSockets: ${maxSockets}`)
  return `export default {\n${fields.join(",\n")}\n}`
}

interface TodaysConfig {
  readonly linkifiers?: ReadonlyArray<TodaysEntry>
  readonly extractors?: ReadonlyArray<TodaysEntry>
  readonly rateLimits?: { readonly perClient?: number; readonly total?: number }
  readonly maxSockets?: number
}

/** What the hub does instead of v1's limits that cannot be set. */
const fixedLimits: Readonly<Record<string, string>> = {
  maxMessageSize: "a message has at most 64 KiB",
  maxAttachmentSize: "an attachment has at most 16 KiB",
  maxWsMessageSize: "a frame from a client has at most 256 KiB",
  maxWsQueueSize: "a client that is slow is disconnected when 16 Mi characters wait for it",
  maxEventReplayBatch: "a socket gets every event that it missed"
}

const noticeOf = ({ plugins, limits }: V1Config, config: TodaysConfig): string => {
  const unused = (plugins ?? []).filter(({ module, config }) => module === undefined && config !== undefined)
  const lines = [
    "The config has the form of Agentlip v1. It works; write it like this instead:",
    "",
    fileText(config)
  ]
  if (plugins !== undefined) {
    lines.push(
      "",
      "A plugin may read files, reach hosts and see variables only with grants: see docs/security.md."
    )
  }
  for (const { name } of unused) {
    lines.push(`The options of ${shown(name)} are not used: today's plugin has none.`)
  }
  for (const key of Object.keys(limits ?? {})) {
    const instead = fixedLimits[key]
    if (instead !== undefined) lines.push(`Not used: limits.${key}; ${instead}.`)
  }
  return lines.join("\n")
}

/** A config of v1 as one of today's. */
export interface ConvertedConfig {
  readonly config: TodaysConfig
  /** How to write it today. */
  readonly notice: string
  /** Names the place in the file that a problem of the converted config is about. */
  readonly placed: (problem: ConfigProblem) => ConfigProblem
}

/** True if the config has v1's form: its keys, or its limits of requests. */
const isV1 = (config: { readonly [key: string]: unknown }): boolean => {
  const { rateLimits } = config
  const ofV1 =
    isObject(rateLimits) && ["perConnection", "global"].some((key) => Object.hasOwn(rateLimits, key))
  return ofV1 || keys.some((key) => key !== "rateLimits" && Object.hasOwn(config, key))
}

const problemsOfEntries = (plugins: ReadonlyArray<V1Entry>): ReadonlyArray<ConfigProblem> =>
  plugins.flatMap(({ name, module }, index) =>
    module !== undefined || Object.hasOwn(builtIn, name)
      ? []
      : [
          {
            path: pathText(["plugins", index, "module"]),
            problem: `is missing, and ${shown(name)} is no plugin of the hub; name its module`
          }
        ]
  )

const decode = Schema.decodeUnknownResult(schema, { errors: "all", onExcessProperty: "error" })

/** Converts a config of v1; `undefined` if it has today's form. `root` is the workspace's real path. */
export const fromV1 = (
  root: string,
  given: unknown
): Result.Result<ConvertedConfig, ReadonlyArray<ConfigProblem>> | undefined => {
  if (!isObject(given) || !isV1(given)) return undefined
  const todays = ["linkifiers", "extractors", "readAuth", "maxSockets", "retention"].filter((key) =>
    Object.hasOwn(given, key)
  )
  if (todays.length > 0) {
    const v1s = keys.filter((key) => Object.hasOwn(given, key))
    const problem = `mixes keys of Agentlip v1 (${v1s.join(", ")}) with today's (${todays.join(", ")}); use today's only`
    return Result.fail([{ path: "", problem }])
  }
  const decoded = decode(given)
  if (Result.isFailure(decoded)) return Result.fail(problemsOf(given, decoded.failure.issue))
  const { plugins = [], pluginDefaults = {}, rateLimits, limits } = decoded.success
  const wrong = problemsOfEntries(plugins)
  if (wrong.length > 0) return Result.fail(wrong)

  const places = new Map<string, string>()
  const listOf = (type: V1Entry["type"]) => {
    const name = lists[type]
    const entries: Array<TodaysEntry> = []
    for (const [index, plugin] of plugins.entries()) {
      if (plugin.type !== type) continue
      places.set(pathText([name, entries.length]), pathText(["plugins", index]))
      entries.push(entryOf(root, plugin, pluginDefaults))
    }
    return entries.length === 0 ? {} : { [name]: entries }
  }
  const config: TodaysConfig = {
    ...listOf("linkifier"),
    ...listOf("extractor"),
    ...defined({
      rateLimits: rateLimits && defined({ perClient: rateLimits.perConnection, total: rateLimits.global }),
      maxSockets: limits?.maxWsConnections
    })
  }
  const placed = ({ path: at, problem }: ConfigProblem): ConfigProblem => {
    const [, item = "", field = ""] = /^(\w+\[\d+\])(.*)$/s.exec(at) ?? []
    const place = places.get(item)
    return place === undefined
      ? { path: at, problem }
      : { path: place + field.replace(/^\.modulePath/, ".module"), problem }
  }
  return Result.succeed({ config, notice: noticeOf(decoded.success, config), placed })
}
