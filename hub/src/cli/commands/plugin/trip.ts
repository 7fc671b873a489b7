/** `agentlip plugin trip` */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { pluginNameArgument } from "../../flags/PluginName.ts"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"

export const pluginTrip = Command.make(
  "trip",
  { name: pluginNameArgument },
  Effect.fnUntraced(function* ({ name }) {
    const hub = yield* connect
    const answer = yield* hub.ask((api) => api.operations.trip({ params: { name } }))
    yield* show(answer, () => `The circuit of ${name} is ${answer.plugin.circuit.state}; its jobs wait.`)
  })
).pipe(
  Command.withDescription(
    "Open the circuit of a plugin: its jobs wait until the cooldown ends or you reset it"
  ),
  Command.withExamples([{ command: "agentlip plugin trip hashtags" }])
)
