/** The command line as a whole; each group of commands is in a file of its own. */
import { Command } from "effect/cli"
import { backup, restore } from "./Backup.ts"
import { globals } from "./Globals.ts"
import { plugin } from "./Plugin.ts"
import { up } from "./Up.ts"

export const agentlip = Command.make("agentlip").pipe(
  Command.withDescription("A hub for messages, and the plugins that read them"),
  Command.withSubcommands([up, plugin, backup, restore]),
  Command.withGlobalFlags(globals)
)
