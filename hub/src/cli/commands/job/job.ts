/** `agentlip job` */
import { Command } from "effect/cli"
import { jobList } from "./list.ts"
import { jobRetry } from "./retry.ts"

export const job = Command.make("job").pipe(
  Command.withDescription("List jobs of plugins, and retry those that failed"),
  Command.withSubcommands([jobList, jobRetry])
)
