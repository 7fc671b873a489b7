/** The report about plugins at start-up: which ones loaded with which rights, and why others failed. */
import { type ConfiguredSpec, type PluginError, PluginRuntime } from "@agentlip/plugin-runtime"
import { Effect, Result } from "effect"
import { redactorOf } from "./Secrets.ts"

export interface LoadResult {
  readonly spec: ConfiguredSpec
  readonly result: Result.Result<{ readonly name: string; readonly version: string }, PluginError>
}

/** Loads every plugin once. A failure stops neither the others nor the hub. */
export const loadAll = (
  specs: ReadonlyArray<ConfiguredSpec>
): Effect.Effect<ReadonlyArray<LoadResult>, never, PluginRuntime> =>
  PluginRuntime.use((runtime) =>
    Effect.forEach(
      specs,
      (spec) => Effect.map(Effect.result(runtime.load(spec)), (result) => ({ spec, result })),
      { concurrency: 4 }
    )
  )

const capabilities = ["read", "write", "net", "env"] as const

const grantsOf = ({ grants }: ConfiguredSpec): string => {
  const given = capabilities.flatMap((capability) => {
    const what = grants[capability] ?? []
    return what.length === 0 ? [] : [`${capability} ${what.join(" ")}`]
  })
  return given.length === 0 ? "no grants" : `grants: ${given.join("; ")}`
}

/** For example `process, no sandbox, no grants`. */
export const rightsOf = (spec: ConfiguredSpec): string =>
  [
    spec.isolation,
    ...(spec.isolation === "process"
      ? [spec.sandbox === "none" ? "no sandbox" : `sandbox ${spec.sandbox}`]
      : []),
    ...(spec.enforcement === "audit" ? ["AUDIT: what is not granted is let through and reported"] : []),
    grantsOf(spec)
  ].join(", ")

/** True if the level itself cannot run here. Its `LOAD_ERROR` then starts with the level's name. */
const isForWantOfLevel = ({ spec, result }: LoadResult): boolean =>
  Result.isFailure(result) &&
  result.failure._tag === "LOAD_ERROR" &&
  result.failure.reason.startsWith(`isolation "${spec.isolation}"`)

const whatToDo = [
  "  Plugins that name no isolation level are processes, which takes Linux or macOS; a hub",
  '  on Bun looks for it on the PATH, or is told: --node FILE. Or give them another level: isolation: "wasm".'
]

/** What a plugin says about itself, or why it failed to load, with secrets removed. */
const saidBy = ({ spec, result }: LoadResult) => {
  const { text } = redactorOf(spec)
  return Result.isSuccess(result)
    ? { name: text(result.success.name), version: text(result.success.version) }
    : { code: result.failure._tag, reason: text(result.failure.message) }
}

/** The report as lines of text. */
export const render = (
  results: ReadonlyArray<LoadResult>,
  disabled: ReadonlyArray<string>
): ReadonlyArray<string> => [
  ...results.map((loaded) => {
    const { spec } = loaded
    const said = saidBy(loaded)
    return "code" in said
      ? `  failed  ${spec.kind.name} ${spec.name}: ${said.code}: ${said.reason}`
      : `  ok      ${spec.kind.name} ${spec.name} (${said.name} ${said.version}): ${rightsOf(spec)}`
  }),
  ...disabled.map((name) => `  off     ${name} (enabled: false)`),
  ...(results.some(isForWantOfLevel) ? whatToDo : [])
]

/** The report as log entries: a message and its annotations for each plugin. */
export const entries = (
  results: ReadonlyArray<LoadResult>,
  disabled: ReadonlyArray<string>
): ReadonlyArray<readonly [message: string, about: { readonly [key: string]: unknown }]> => [
  ...results.map((loaded) => {
    const { spec } = loaded
    const about = { plugin: spec.name, kind: spec.kind.name }
    const said = saidBy(loaded)
    return "code" in said
      ? (["plugin not loaded", { ...about, ...said }] as const)
      : (["plugin loaded", { ...about, version: said.version, rights: rightsOf(spec) }] as const)
  }),
  ...disabled.map((plugin) => ["plugin is switched off", { plugin }] as const)
]
