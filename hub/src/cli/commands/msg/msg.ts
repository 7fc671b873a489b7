/** `agentlip msg` */
import { Command } from "effect/cli"
import { msgDelete } from "./delete.ts"
import { msgEdit } from "./edit.ts"
import { msgList } from "./list.ts"
import { msgRetopic } from "./retopic.ts"
import { msgSend } from "./send.ts"
import { msgShow } from "./show.ts"
import { msgTail } from "./tail.ts"

export const msg = Command.make("msg").pipe(
  Command.withDescription("Post, read, follow and change messages"),
  Command.withSubcommands([msgSend, msgList, msgShow, msgTail, msgEdit, msgDelete, msgRetopic])
)
