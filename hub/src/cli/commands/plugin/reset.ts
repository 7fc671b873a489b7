/** `agentlip plugin reset` */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { pluginNameArgument } from "../../flags/PluginName.ts"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"

export const pluginReset = Command.make(
  "reset",
  { name: pluginNameArgument },
  Effect.fnUntraced(function* ({ name }) {
    const hub = yield* connect
    const answer = yield* hub.ask((api) => api.operations.reset({ params: { name } }))
    yield* show(answer, () => `The circuit of ${name} is ${answer.plugin.circuit.state}.`)
  })
).pipe(
  Command.withDescription("Close the circuit of a plugin: it runs again, and its failures are forgotten"),
  Command.withExamples([{ command: "agentlip plugin reset hashtags" }])
)
