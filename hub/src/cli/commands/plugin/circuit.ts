/** `agentlip plugin list`, `trip` and `reset`: plugins of a running hub. */
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"
import { pluginTable, troubles } from "../status.ts"

const name = Argument.String("NAME").pipe(Argument.withDescription("The plugin's name in the config file"))

export const pluginList = Command.make("list", {}, () =>
  Effect.gen(function* () {
    const hub = yield* connect
    const found = yield* hub.ask((api) => api.reads.plugins())
    yield* show(found, () => [...pluginTable(found.plugins), ...troubles(found)])
  })
).pipe(Command.withDescription("List the plugins of the running hub, and how they fare"))

export const pluginTrip = Command.make("trip", { name }, ({ name }) =>
  Effect.gen(function* () {
    const hub = yield* connect
    const answer = yield* hub.ask((api) => api.operations.trip({ params: { name } }))
    yield* show(answer, () => `The circuit of ${name} is ${answer.plugin.circuit.state}; its jobs wait.`)
  })
).pipe(
  Command.withDescription("Open a plugin's circuit: it is not run until it is reset, or tried after a while")
)

export const pluginReset = Command.make("reset", { name }, ({ name }) =>
  Effect.gen(function* () {
    const hub = yield* connect
    const answer = yield* hub.ask((api) => api.operations.reset({ params: { name } }))
    yield* show(answer, () => `The circuit of ${name} is ${answer.plugin.circuit.state}.`)
  })
).pipe(Command.withDescription("Close a plugin's circuit: it is run again, and its failures are forgotten"))
