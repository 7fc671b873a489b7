/** `agentlip plugin` */
import { Command } from "effect/cli"
import { pluginCheck } from "./check.ts"
import { pluginIntegrity } from "./integrity.ts"
import { pluginList } from "./list.ts"
import { pluginLogs } from "./logs.ts"
import { pluginNew } from "./new.ts"
import { pluginReset } from "./reset.ts"
import { pluginRun } from "./run.ts"
import { pluginShow } from "./show.ts"
import { pluginTrip } from "./trip.ts"

export const plugin = Command.make("plugin").pipe(
  Command.withDescription("Write, run and check plugins, and manage those of the running hub"),
  Command.withSubcommands([
    pluginNew,
    pluginRun,
    pluginCheck,
    pluginIntegrity,
    pluginList,
    pluginShow,
    pluginLogs,
    pluginTrip,
    pluginReset
  ]),
  Command.withExamples([
    { command: "agentlip plugin new tickets", description: "Create plugins/tickets.ts" },
    { command: "agentlip plugin run plugins/tickets.ts --text 'see OPS-42'", description: "Try it" },
    { command: "agentlip plugin list", description: "Show the plugins of the running hub" }
  ])
)
