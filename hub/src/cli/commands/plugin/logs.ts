/** `agentlip plugin logs` */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { pluginNameArgument } from "../../flags/PluginName.ts"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"
import { renderRuns } from "../../render/PluginRuns.ts"

export const pluginLogs = Command.make(
  "logs",
  {
    name: pluginNameArgument,
    failed: Flag.Boolean("failed").pipe(
      Flag.withDescription("Only runs that failed. Default: all"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ name, failed }) {
    const hub = yield* connect
    const all = yield* hub.ask((api) => api.reads.pluginRuns({ params: { name } }))
    const runs = failed ? all.runs.filter(({ error }) => error !== null) : all.runs
    yield* show({ runs }, () =>
      failed && runs.length === 0 ? "None of its latest runs failed." : renderRuns(runs)
    )
  })
).pipe(
  Command.withDescription(
    "Show the latest runs of a plugin of the running hub: what they logged, why they failed"
  ),
  Command.withExamples([
    { command: "agentlip plugin logs hashtags" },
    { command: "agentlip plugin logs hashtags --failed --json", description: "Failed runs, for a program" }
  ])
)
