/** The command line as a whole; each group of commands is in a file of its own. */
import { Command } from "effect/cli"
import { attachment } from "./Attachment.ts"
import { backfill } from "./Backfill.ts"
import { backup, restore } from "./Backup.ts"
import { channel } from "./Channel.ts"
import { doctor } from "./Doctor.ts"
import { down } from "./Down.ts"
import { globals } from "./Globals.ts"
import { init } from "./Init.ts"
import { job } from "./Job.ts"
import { listen } from "./Listen.ts"
import { msg } from "./Msg.ts"
import { plugin } from "./Plugin.ts"
import { status } from "./Status.ts"
import { topic } from "./Topic.ts"
import { up } from "./Up.ts"

export const agentlip = Command.make("agentlip").pipe(
  Command.withDescription("A hub for messages, and the plugins that read them"),
  Command.withSubcommands([
    init,
    up,
    down,
    status,
    doctor,
    channel,
    topic,
    msg,
    attachment,
    listen,
    plugin,
    job,
    backfill,
    backup,
    restore
  ]),
  Command.withGlobalFlags(globals)
)
