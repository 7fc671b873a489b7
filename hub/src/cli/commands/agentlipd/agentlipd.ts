/** `agentlipd`: the command of Agentlip v1 that runs a hub. */
import { Command } from "effect/cli"
import { up } from "../up.ts"
import { daemonStatus } from "./status.ts"

export const agentlipd = Command.make("agentlipd").pipe(
  Command.withDescription("Run a hub, or show its status, as in Agentlip v1"),
  Command.withSubcommands([up, daemonStatus])
)
