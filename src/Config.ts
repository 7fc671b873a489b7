/**
 * Reads a workspace's `agentlip.config.ts` into plugin specs.
 *
 * **Details**: the file is the operator's own code and runs in the host, TypeScript types stripped by Node.
 * It is decoded strictly, and one `ConfigError` lists everything that is wrong with it. A module that is missing or fails
 * to load, or whose package is broken, is not the config's problem: that plugin fails with `LOAD_ERROR`, the others run.
 *
 * **Gotchas**: a process evaluates the file again only if it or a file that it imports has changed. A change of the
 * environment, of an installed package or of a CommonJS module takes effect after a restart or such a change.
 */
import { type Duration, Effect, Result, Schema } from "effect"
import * as path from "node:path"
import type { IsolationLevel } from "./Capabilities.ts"
import { findConfigFile, importDefault } from "./config/file.ts"
import { realOf } from "./paths.ts"
import { configSchema, crossProblems, type Entry } from "./config/schema.ts"
import { snapshotOf } from "./config/snapshot.ts"
import { fromV1 } from "./config/v1.ts"
import { ConfigError, type ConfigProblem } from "./ConfigError.ts"
import { makeSpec, type PluginSpec } from "./Plugin.ts"
import { extractor, linkifier } from "./PluginKinds.ts"
import { problemsOf } from "./spec/problems.ts"
import type { breaker, limits, optionalLimits, optionalSettings, settings } from "./spec/settings.ts"
import type { ConfigTime, Given } from "./spec/values.ts"

export type { ConfigTime } from "./spec/values.ts"

type Written<Fields extends { readonly [key: string]: { readonly Type: unknown } }> = Given<
  Fields,
  ConfigTime
>

/** One plugin in a config file. The default of `isolation` is an option of `loadConfig`; `agentlip up` sets `"process"`. */
export interface PluginEntry
  extends Omit<Written<typeof settings>, "config">,
    Written<typeof optionalSettings> {
  /** Unique in the file; names the plugin's breaker, its logs and its rows. */
  readonly name: string
  /**
   * A file of the workspace (`"./plugins/todo.ts"`, relative to the workspace) or an installed package
   * (`"@agentlip/plugins/url-linkifier"`). Never outside the workspace, never in `.agentlip/`.
   */
  readonly modulePath: string
  /** What the plugin gets as `config`: JSON values. Default `{}`. */
  readonly config?: { readonly [key: string]: Schema.Json }
  /** Short for `limits.memory`. */
  readonly memory?: number
  readonly limits?: Written<typeof limits & typeof optionalLimits>
  readonly breaker?: Written<typeof breaker>
  /** `false`: checked, but not run. Default `true`. */
  readonly enabled?: boolean
}

/**
 * What a config file exports as its default.
 *
 * @example
 * ```ts
 * import type { AgentlipConfig } from "@agentlip/plugin-runtime"
 *
 * export default {
 *   linkifiers: [{ name: "urls", modulePath: "@agentlip/plugins/url-linkifier", timeout: "2 seconds" }]
 * } satisfies AgentlipConfig
 * ```
 */
export interface AgentlipConfig {
  readonly linkifiers?: ReadonlyArray<PluginEntry>
  readonly extractors?: ReadonlyArray<PluginEntry>
  /** `true`: the hub asks for its token on reads too. Default `false`: every user of the machine can read. */
  readonly readAuth?: boolean
  /** Requests per second: of one client (default 100), and of all together (default 1,000). */
  readonly rateLimits?: { readonly perClient?: number; readonly total?: number }
  /** WebSockets and event streams open at the same time. Default 100. */
  readonly maxSockets?: number
  /** What the hub removes once an hour. Default: nothing. */
  readonly retention?: {
    /** Remove events, ended jobs, cached outputs and finished backfills that are older. For example `"90 days"`. */
    readonly olderThan?: ConfigTime
    /** Keep this many of the newest events, whatever their age. Without `olderThan`: remove all others. */
    readonly keepEvents?: number
  }
}

/** A spec of one of the kinds a config file can name. */
export type ConfiguredSpec = PluginSpec<typeof linkifier> | PluginSpec<typeof extractor>

/** What a hub removes by itself. At least one of the two is set. */
export interface RetentionOptions {
  /** Events, ended jobs, unused cached outputs and finished backfills that are older than this are removed. */
  readonly olderThan?: Duration.Duration
  /** This many of the newest events stay, whatever their age. Without `olderThan`, all other events are removed. */
  readonly keepEvents?: number
}

/** What `loadConfig` found. */
export interface LoadedConfig {
  /** The file it was read from, absolute; `undefined`: the workspace has none. */
  readonly file: string | undefined
  /** The enabled plugins, linkifiers first, in the file's order. */
  readonly specs: ReadonlyArray<ConfiguredSpec>
  /** Names of the plugins with `enabled: false`. */
  readonly disabled: ReadonlyArray<string>
  /** Whether the hub asks for its token on reads too. Default `false`. */
  readonly readAuth: boolean
  /** Requests per second that the hub accepts. Default: the hub's. */
  readonly rateLimits?: { readonly perClient?: number; readonly total?: number }
  /** WebSockets and event streams that the hub keeps open at the same time. Default: the hub's. */
  readonly maxSockets?: number
  /** What the hub removes by itself. Default: nothing. */
  readonly retention?: RetentionOptions
  /** How to write the file today. Set if it has the form of Agentlip v1. */
  readonly notice?: string
}

/** Options for all plugins of a hub. */
export interface LoadConfigOptions {
  /** The isolation level of plugins without one in the file. Default `"thread"`. */
  readonly isolation?: IsolationLevel
  /**
   * Files of plugins that are part of the hub, by the `modulePath` that names them, such as
   * `"@agentlip/plugins/url-linkifier"`. A package that is installed in the workspace takes precedence. Default none.
   */
  readonly shipped?: { readonly [modulePath: string]: string }
}

const toSpec = <Kind extends typeof linkifier | typeof extractor>(
  kind: Kind,
  entry: Entry,
  defaults: LoadConfigOptions
): PluginSpec<Kind> => {
  const { enabled: _, memory, modulePath, ...options } = entry
  const spec = makeSpec({
    ...(defaults.isolation === undefined ? {} : { isolation: defaults.isolation }),
    ...options,
    kind,
    modulePath: modulePath.file,
    ...(memory === undefined ? {} : { limits: { ...options.limits, memory } })
  })
  return modulePath.unresolved === undefined ? spec : { ...spec, unresolved: modulePath.unresolved }
}

/**
 * Reads the config file of a workspace: `agentlip.config.ts`, `.js` or `.mjs` in its root. Without one the
 * result is empty, with `file: undefined`.
 *
 * Fails with one `ConfigError` that lists every problem: unknown keys, wrong types, names used twice, module
 * paths that leave the workspace, a file that cannot be loaded.
 *
 * @example
 * ```ts
 * const { specs, disabled } = yield* loadConfig("/srv/chat", { isolation: "process" })
 * for (const spec of specs) yield* Effect.log(`${spec.kind.name} ${spec.name}: ${spec.modulePath}`)
 * ```
 */
export const loadConfig = Effect.fn("loadConfig")(function* (
  workspaceRoot: string,
  options: LoadConfigOptions = {}
): Effect.fn.Return<LoadedConfig, ConfigError> {
  const root = realOf(path.resolve(workspaceRoot))
  const file = yield* findConfigFile(root)
  if (file === undefined) return { file, specs: [], disabled: [], readAuth: false }
  const unreadable: Array<ConfigProblem> = []
  const written = snapshotOf(yield* importDefault(file), unreadable)
  if (unreadable.length > 0) return yield* new ConfigError({ file, problems: unreadable })
  const converted = fromV1(root, written)
  if (converted !== undefined && Result.isFailure(converted)) {
    return yield* new ConfigError({ file, problems: converted.failure })
  }
  const config: unknown = converted?.success.config ?? written
  const decoded = yield* Effect.result(
    Schema.decodeUnknownEffect(configSchema(root, options.shipped), {
      errors: "all",
      onExcessProperty: "error"
    })(config)
  )
  const problems = crossProblems(config)
  if (Result.isFailure(decoded)) problems.unshift(...problemsOf(config, decoded.failure.issue))
  if (Result.isFailure(decoded) || problems.length > 0) {
    const placed = converted?.success.placed
    return yield* new ConfigError({ file, problems: placed === undefined ? problems : problems.map(placed) })
  }

  const { linkifiers = [], extractors = [], readAuth = false, ...others } = decoded.success
  const isEnabled = (entry: Entry): boolean => entry.enabled !== false
  return {
    file,
    specs: [
      ...linkifiers.filter(isEnabled).map((entry) => toSpec(linkifier, entry, options)),
      ...extractors.filter(isEnabled).map((entry) => toSpec(extractor, entry, options))
    ],
    disabled: [...linkifiers, ...extractors].filter((entry) => !isEnabled(entry)).map(({ name }) => name),
    readAuth,
    ...others,
    ...(converted === undefined ? {} : { notice: converted.success.notice })
  }
})
