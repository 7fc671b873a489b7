/** `agentlip channel` */
import { Command } from "effect/cli"
import { channelCreate } from "./create.ts"
import { channelList } from "./list.ts"

export const channel = Command.make("channel").pipe(
  Command.withDescription("List and create channels"),
  Command.withSubcommands([channelList, channelCreate])
)
