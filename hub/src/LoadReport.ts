/** What a hub says of its plugins at start-up: who loaded, who did not and why. */
import { type ConfiguredSpec, type PluginError, PluginRuntime } from "@agentlip/plugin-runtime"
import { Effect, Result } from "effect"

export interface LoadResult {
  readonly spec: ConfiguredSpec
  readonly result: Result.Result<{ readonly name: string; readonly version: string }, PluginError>
}

/** Loads every plugin once; one that fails stops neither the others nor the hub. */
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

/** The report in lines of text. */
export const render = (
  results: ReadonlyArray<LoadResult>,
  disabled: ReadonlyArray<string>
): ReadonlyArray<string> => [
  ...results.map(({ spec, result }) =>
    Result.isSuccess(result)
      ? `  ok      ${spec.kind.name} ${spec.name} (${result.success.name} ${result.success.version})`
      : `  failed  ${spec.kind.name} ${spec.name}: ${result.failure._tag}: ${result.failure.message}`
  ),
  ...disabled.map((name) => `  off     ${name} (enabled: false)`)
]
