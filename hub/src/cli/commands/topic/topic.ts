/** `agentlip topic` */
import { Command } from "effect/cli"
import { topicCreate } from "./create.ts"
import { topicList } from "./list.ts"
import { topicRename } from "./rename.ts"

export const topic = Command.make("topic").pipe(
  Command.withDescription("List, create and rename topics"),
  Command.withSubcommands([topicList, topicCreate, topicRename])
)
