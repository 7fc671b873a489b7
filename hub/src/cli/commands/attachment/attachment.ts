/** `agentlip attachment` */
import { Command } from "effect/cli"
import { attachmentCreate } from "./create.ts"
import { attachmentList } from "./list.ts"

export const attachment = Command.make("attachment").pipe(
  Command.withDescription("List and create attachments: facts that belong to a topic"),
  Command.withSubcommands([attachmentList, attachmentCreate])
)
