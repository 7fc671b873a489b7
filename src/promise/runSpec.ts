/** Makes specs from the options of `runPlugin`. */
import { Duration, Result } from "effect"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import {
  defaultSettings,
  makeSpec,
  type PluginSettingsOptions,
  type PluginSpec,
  specProblems
} from "../Plugin.ts"
import { extractor, linkifier, type MessageInput } from "../PluginKinds.ts"
import { allPrepared, type PrepareError, unprepared } from "../PrepareError.ts"
import { unknownKey } from "../spec/problems.ts"
import { optionalSettings } from "../spec/settings.ts"
import { shown } from "../text.ts"

/** One plugin, one input, and any setting of a spec: times in milliseconds, `config` beside the message. */
export interface RunPluginOptions
  extends Omit<PluginSettingsOptions, "config" | "timeout" | "grace" | "breaker"> {
  readonly type: "linkifier" | "extractor"
  /** Path or `file:` URL of the plugin's module. */
  readonly modulePath: string
  readonly input: MessageInput & { readonly config?: { readonly [key: string]: unknown } }
  /**
   * Names the circuit breaker and the errors. Default: the module's file name without its extension; with as many of
   * its folders as it takes (`b/plugin`) if the host knows another module by that name.
   */
  readonly pluginName?: string | undefined
  /** Wall clock, for loading and for each run. Default 5,000. */
  readonly timeoutMs?: number | undefined
  /** Time between the abort signal and the kill; at 0 there is no signal. Default 0. */
  readonly graceMs?: number | undefined
  /** What differs from the host's breaker policy. */
  readonly breaker?:
    | { readonly failureThreshold?: number | undefined; readonly cooldownMs?: number | undefined }
    | undefined
}

/** The spec of either type of plugin. */
export type RunSpec = PluginSpec<typeof linkifier | typeof extractor>

const kinds = { linkifier, extractor }

/** The names of a spec's settings here, if they differ. */
const names: { readonly [path: string]: string } = {
  name: "pluginName",
  config: "input.config",
  timeout: "timeoutMs",
  grace: "graceMs",
  "breaker.cooldown": "breaker.cooldownMs"
}

const known: ReadonlyArray<string> = [
  "type",
  "modulePath",
  "input",
  "pluginName",
  ...Object.keys(defaultSettings).flatMap((key) => (key === "config" ? [] : [names[key] ?? key])),
  ...Object.keys(optionalSettings)
]

const refused = (problem: string): Result.Result<never, PrepareError> => Result.fail(unprepared(problem))

const checkKeys = (
  given: unknown,
  known: ReadonlyArray<string>,
  prefix = ""
): Result.Result<unknown, PrepareError> =>
  allPrepared(
    Object.keys(Object(given)).flatMap((key) =>
      known.includes(key) ? [] : [refused(`${prefix}${key}: ${unknownKey(key, known)}`)]
    )
  )

/** Checks a spec, and calls its settings by their names here. */
const checkNamed = (spec: RunSpec): Result.Result<unknown, PrepareError> =>
  allPrepared(specProblems(spec).map(({ path, problem }) => refused(`${names[path] ?? path}: ${problem}`)))

/** The settings of a spec among the options, without unknown ones. */
const settingsIn = (options: object): PluginSettingsOptions =>
  Object.fromEntries(Object.entries(options).filter(([key]) => known.includes(key)))

/** A caller in JavaScript may pass anything. */
const millis = (name: string, value: unknown): Result.Result<Duration.Duration | undefined, PrepareError> => {
  if (value === undefined) return Result.succeed(undefined)
  return typeof value === "number"
    ? Result.succeed(Duration.millis(value))
    : refused(`${name}: expected a number of milliseconds, got ${shown(value)}`)
}

/** The path of a module, which is given as a path or as a `file:` URL. */
const pathOf = (given: unknown): Result.Result<string, PrepareError> => {
  if (typeof given !== "string") {
    return refused(`modulePath must be the path or file: URL of the plugin's module, not ${shown(given)}`)
  }
  if (!given.startsWith("file:")) return Result.succeed(path.resolve(given))
  return Result.try({
    try: () => fileURLToPath(given),
    catch: (error) => unprepared(`modulePath: ${error instanceof Error ? error.message : String(error)}`)
  })
}

const makeRunSpec = (
  options: RunPluginOptions,
  nameOf: (modulePath: string) => string
): Result.Result<RunSpec, PrepareError> =>
  Result.gen(function* () {
    const { type, input, pluginName, timeoutMs, graceMs, breaker, ...settings } = options
    const { failureThreshold, cooldownMs } = breaker ?? {}
    if (!Object.hasOwn(kinds, type)) {
      return yield* refused(`its type must be "linkifier" or "extractor", not ${shown(type)}`)
    }
    const modulePath = yield* pathOf(options.modulePath)
    const [timeout, grace, cooldown] = yield* allPrepared([
      millis("timeoutMs", timeoutMs),
      millis("graceMs", graceMs),
      millis("breaker.cooldownMs", cooldownMs)
    ])
    const spec = makeSpec({
      ...settingsIn(settings),
      name: pluginName ?? nameOf(modulePath),
      kind: kinds[type],
      modulePath,
      config: input?.config,
      timeout,
      grace,
      breaker: { failureThreshold, cooldown }
    })
    yield* allPrepared([
      checkKeys(options, known),
      checkKeys(breaker, ["failureThreshold", "cooldownMs"], "breaker."),
      checkNamed(spec)
    ])
    return spec
  })

/** Names modules that have no `pluginName`; each path has a name of its own. */
const makeNames = (): ((modulePath: string) => string) => {
  const named = new Map<string, string>()
  const taken = new Set<string>()
  return (modulePath) => {
    const known = named.get(modulePath)
    if (known !== undefined) return known
    const { dir, name } = path.parse(modulePath)
    const parts = [...dir.split(path.sep).filter((part) => part !== ""), name]
    const shorter = parts.map((_, index) => parts.slice(-1 - index).join("/"))
    const found = shorter.find((candidate) => !taken.has(candidate)) ?? modulePath
    named.set(modulePath, found)
    taken.add(found)
    return found
  }
}

/** How many specs a host remembers. Over it, the oldest is made again. */
const maxSpecs = 1_000

/** Makes specs. Equal options get the same spec, so a plugin keeps its warm isolates. */
export const makeRunSpecs = (): ((options: RunPluginOptions) => Result.Result<RunSpec, PrepareError>) => {
  const specs = new Map<string, RunSpec>()
  const nameOf = makeNames()
  return (options) => {
    const { input, ...rest } = options
    const key = JSON.stringify([rest, input?.config])
    const known = specs.get(key)
    if (known !== undefined) return Result.succeed(known)
    return Result.map(makeRunSpec(options, nameOf), (spec) => {
      const oldest = specs.size >= maxSpecs ? specs.keys().next().value : undefined
      if (oldest !== undefined) specs.delete(oldest)
      specs.set(key, spec)
      return spec
    })
  }
}
