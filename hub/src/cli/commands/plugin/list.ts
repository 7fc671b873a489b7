/** `agentlip plugin list` */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"
import { pluginTable, troubles } from "../../render/PluginTable.ts"

export const pluginList = Command.make("list", {}, () =>
  Effect.gen(function* () {
    const hub = yield* connect
    const found = yield* hub.ask((api) => api.reads.plugins())
    yield* show(found, () => [...pluginTable(found.plugins), ...troubles(found)])
  })
).pipe(
  Command.withDescription("List the plugins of the running hub, with their circuits, runs and failures"),
  Command.withExamples([{ command: "agentlip plugin list" }])
)
